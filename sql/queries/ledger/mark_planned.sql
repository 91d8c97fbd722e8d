-- The work list of run $1 is whole.
UPDATE canvas_ops.run SET planned_at = clock_timestamp() WHERE id = $1
