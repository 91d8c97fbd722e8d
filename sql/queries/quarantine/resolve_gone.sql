-- Of what run $1 marked as deleted nothing is to be brought back from here. To be run after missing/tombstone.
UPDATE canvas_ops.quarantine AS q
SET resolved_at = now()
FROM canvas.message AS m
WHERE m.id = q.message_id AND m._deleted_at IS NOT NULL AND m._run_id = $1 AND q.resolved_at IS NULL
