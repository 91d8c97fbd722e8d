-- How many live messages run $1 asked for by id, and was told that they are not there.
SELECT count(*)
FROM canvas.message AS m
JOIN canvas_ops.search AS s ON s.value = m.id
WHERE s.run_id = $1 AND s.parameter = '_id' AND s.status = 'accepted' AND s.entries = 0 AND m._deleted_at IS NULL
