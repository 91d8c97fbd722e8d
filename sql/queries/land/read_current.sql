-- What the table holds of a batch's ids ($1), to tell new, changed and unchanged apart before anything is written.
SELECT id, _content_hash, _deleted_at IS NOT NULL AS deleted
FROM canvas.message
WHERE id = ANY ($1::text[])
