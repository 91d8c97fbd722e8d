-- Runs that were never closed, the newest first. Asked while the run lock is held: they died.
SELECT id, job, selection, clock_timestamp() - started_at AS age
FROM canvas_ops.run
WHERE closed_at IS NULL
ORDER BY id DESC
