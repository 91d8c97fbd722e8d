-- The open run that a process took up last. No row if none is open.
SELECT id FROM canvas_ops.run WHERE closed_at IS NULL ORDER BY held_since DESC LIMIT 1
