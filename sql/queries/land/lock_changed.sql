-- Locks the rows that the batch changes, in the order of their ids.
SELECT m.id
FROM canvas.message AS m
JOIN incoming AS i ON i.id = m.id
WHERE m._content_hash <> i._content_hash OR m._deleted_at IS NOT NULL
ORDER BY m.id
FOR UPDATE OF m
