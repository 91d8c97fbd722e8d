-- An entry that never was a row stayed open when the source no longer had it; and of two entries of one message nothing said
-- which the source had served last.

ALTER TABLE canvas_ops.quarantine
    ADD COLUMN _last_run_id  bigint,
    ADD COLUMN _last_seen_at timestamptz;

UPDATE canvas_ops.quarantine SET _last_run_id = _run_id, _last_seen_at = _first_seen_at;

ALTER TABLE canvas_ops.quarantine
    ALTER COLUMN _last_run_id SET NOT NULL,
    ALTER COLUMN _last_seen_at SET NOT NULL;

COMMENT ON COLUMN canvas_ops.quarantine._last_run_id IS 'The run that last met it.';
COMMENT ON COLUMN canvas_ops.quarantine._last_seen_at IS 'When it was last met.';
COMMENT ON COLUMN canvas_ops.quarantine.resolved_at IS 'When it was overtaken: a usable version of the same message landed, the message was marked as deleted, or the search that had served the entry no longer does. Null while it is open.';
