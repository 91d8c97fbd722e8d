-- What of run $1 is not going to be walked any more, and why ($2).
UPDATE canvas_ops.search
SET status = 'not_accepted', reason = $2, finished_at = clock_timestamp(), leased_until = NULL
WHERE run_id = $1 AND status IN ('pending', 'walking')
