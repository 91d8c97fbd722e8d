-- Whether search $1 is still ours by token $2. Locked, so that it stays so until this transaction ends.
SELECT status FROM canvas_ops.search WHERE id = $1 AND lease_token = $2 FOR UPDATE
