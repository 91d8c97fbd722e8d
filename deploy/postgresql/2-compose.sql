-- For compose.yaml only: the writer's password from its secret, and schemas for the trial on the sandbox.

\set password `cat /run/secrets/writer_password`
ALTER ROLE canvas_writer PASSWORD :'password';

CREATE SCHEMA IF NOT EXISTS canvas_trial AUTHORIZATION canvas_writer;
CREATE SCHEMA IF NOT EXISTS canvas_trial_ops AUTHORIZATION canvas_writer;
