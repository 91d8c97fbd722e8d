-- What run $1 asked for by id and was answered is wanted no more.
DELETE FROM canvas_ops.wanted AS w
USING canvas_ops.search AS s
WHERE s.run_id = $1 AND s.parameter = '_id' AND s.value = w.id AND s.status = 'accepted'
