-- Marks what run $1 found gone ($2). The words stay: a deletion at the source is no wish to forget.
UPDATE canvas.message AS m
SET
    _deleted_at = (SELECT canvas_ops.time_of_run($1)),
    _changed_at = greatest((SELECT canvas_ops.time_of_run($1)), m._changed_at + interval '1 microsecond'),
    _run_id = $1
FROM canvas_ops.search AS s
WHERE s.value = m.id
  AND s.run_id = $1 AND s.parameter = '_id' AND s.status = 'accepted' AND s.entries = 0
  AND m._deleted_at IS NULL
  AND m.id = ANY ($2::text[])
