-- The work list of run $1 is whole. Whoever knows this instant may close the run.
UPDATE canvas_ops.run SET planned_at = clock_timestamp() WHERE id = $1 RETURNING planned_at
