-- Whether run $1 is open, when its work list was whole, and how many messages it marked as deleted. Locked, so that it
-- stays so until this transaction ends.
SELECT closed_at IS NULL AS is_open, planned_at, deleted FROM canvas_ops.run WHERE id = $1 FOR UPDATE
