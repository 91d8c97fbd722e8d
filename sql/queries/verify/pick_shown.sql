-- A few messages that pass $2 of verification $1 showed just as the mirror holds them: the source must know one of them by id
-- too, or its word on others is worth nothing. A few, since one may have been deleted meanwhile.
SELECT s.message_id
FROM canvas_ops.sighting AS s
JOIN canvas.message AS m ON m.id = s.message_id AND m._content_hash = s.content_hash AND m._deleted_at IS NULL
WHERE s.run_id = $1 AND s.pass = $2
ORDER BY s.key
LIMIT 3
