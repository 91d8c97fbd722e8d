-- A reader who goes on from the largest _changed_at that it saw passes over rows: transactions that began earlier may be
-- committed later. What is settled goes by who held the run lock last: nobody else can have a row under way.

ALTER TABLE canvas_ops.run ADD COLUMN held_since timestamptz;

UPDATE canvas_ops.run SET held_since = started_at;

ALTER TABLE canvas_ops.run
    ALTER COLUMN held_since SET DEFAULT clock_timestamp(),
    ALTER COLUMN held_since SET NOT NULL;

CREATE INDEX run_held_last ON canvas_ops.run (held_since, id);

COMMENT ON COLUMN canvas_ops.run.held_since IS 'When a process last took the run up: what ran before it, this run included, has no row under way since then.';
COMMENT ON COLUMN canvas.message._changed_at IS 'When the mirror last learnt of a change. Read incrementally by it, up to canvas.freshness.settled_at and no further.';
