-- How many batches of search $1 were landed; no row if it is not ours by token $2 any more. Locked, so that it stays so until
-- this transaction ends.
SELECT landings FROM canvas_ops.search WHERE id = $1 AND lease_token = $2 FOR UPDATE
