-- How many messages are gone at the source and held.
SELECT count(*) FROM canvas_ops.held AS h JOIN canvas.message AS m ON m.id = h.id WHERE m._deleted_at IS NULL
