-- Run $1 goes on, in another process: whoever had rows of it under way has lost its leases. Held since later than any run
-- before, whatever the clock says.
UPDATE canvas_ops.run
SET held_since = greatest(
    clock_timestamp(),
    (SELECT max(greatest(closed_at, held_since)) + interval '1 microsecond' FROM canvas_ops.run)
)
WHERE id = $1
