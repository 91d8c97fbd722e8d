-- Search $1 is done: status $2, reason $3, and of its last walk total $4, pages $5, entries $6, outside $7.
UPDATE canvas_ops.search
SET status = $2, reason = $3, total = $4, pages = $5, entries = $6, outside = $7, finished_at = clock_timestamp(), leased_until = NULL
WHERE id = $1
