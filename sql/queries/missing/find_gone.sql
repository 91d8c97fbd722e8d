-- Which of the live messages $2 run $1 asked for by id, and was told that they are not there. What else it asked for so, for
-- a verification that had wanted it, may have been shown by a search all the same.
SELECT m.id
FROM canvas.message AS m
JOIN canvas_ops.search AS s ON s.value = m.id
WHERE s.run_id = $1 AND s.parameter = '_id' AND s.status = 'accepted' AND s.entries = 0
  AND m._deleted_at IS NULL
  AND m.id = ANY ($2::text[])
