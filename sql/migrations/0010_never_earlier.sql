-- The server's clock may be put back, or a standby whose clock is behind take over. What a run writes is later all the same
-- than what runs before it wrote: who reads incrementally has read up to there.

CREATE FUNCTION canvas_ops.time_of_run(run_id bigint) RETURNS timestamptz
STABLE
RETURN greatest(now(), (SELECT r.held_since + interval '1 microsecond' FROM canvas_ops.run AS r WHERE r.id = run_id));

COMMENT ON FUNCTION canvas_ops.time_of_run IS 'When something that this run writes now is learnt: now, or just after it was taken up if the clock has been put back since.';
COMMENT ON COLUMN canvas_ops.run.held_since IS 'When a process last took the run up: what ran before it, this run included, has no row under way since then. Later than any run before, whatever the clock said.';
