-- What an operator has accepted in quarantine, and how many practitioners the roster named.

ALTER TABLE canvas_ops.quarantine
    ADD COLUMN accepted_at timestamptz,
    ADD COLUMN accepted_by text;

COMMENT ON COLUMN canvas_ops.quarantine.accepted_at IS 'When an operator accepted it (message-mirror quarantine accept): it is no longer a reason for an incomplete run.';
COMMENT ON COLUMN canvas_ops.quarantine.accepted_by IS 'Who did: user@host.';

ALTER TABLE canvas_ops.run ADD COLUMN roster integer;

COMMENT ON COLUMN canvas_ops.run.roster IS 'How many practitioners the roster named, active or not. Null if it was not read, not accepted or not believed.';
