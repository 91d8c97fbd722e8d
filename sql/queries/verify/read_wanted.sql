-- What earlier verifications found missing, or of another version.
SELECT id FROM canvas_ops.wanted ORDER BY id
