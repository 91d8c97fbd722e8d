-- Which of these messages ($1) are live and whole. Locked in the order of their ids, so that no partial version lands over them.
SELECT id
FROM canvas.message
WHERE id = ANY ($1::text[]) AND _deleted_at IS NULL AND 'partial' <> ALL (_quality)
ORDER BY id
FOR UPDATE
