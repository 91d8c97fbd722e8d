-- Before a died run goes on: what had not been accepted gets its walks again.
UPDATE canvas_ops.search
SET status = 'pending', lease_token = NULL, leased_until = NULL, finished_at = NULL, reason = NULL
WHERE run_id = $1 AND status = 'not_accepted' AND resource = 'Communication'
