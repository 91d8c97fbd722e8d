-- Run once in the warehouse's database, by psql as a superuser or its owner with CREATEROLE.
-- A second instance: other schemas (WAREHOUSE_SCHEMA), the same way.

-- The worker. It owns its two schemas and may do nothing else: no CREATE on the database, no other rights.
CREATE ROLE canvas_writer LOGIN;
GRANT CONNECT, TEMPORARY ON DATABASE :"DBNAME" TO canvas_writer;
CREATE SCHEMA canvas AUTHORIZATION canvas_writer;
CREATE SCHEMA canvas_ops AUTHORIZATION canvas_writer;

-- Those who may read patients' words: GRANT canvas_text_reader TO somebody. Nobody but the worker reads canvas_ops.
CREATE ROLE canvas_text_reader NOLOGIN;
GRANT CONNECT ON DATABASE :"DBNAME" TO canvas_text_reader;
GRANT USAGE ON SCHEMA canvas TO canvas_text_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA canvas TO canvas_text_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE canvas_writer IN SCHEMA canvas GRANT SELECT ON TABLES TO canvas_text_reader;
