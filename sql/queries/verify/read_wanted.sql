-- What earlier verifications found missing.
SELECT id FROM canvas_ops.wanted ORDER BY id
