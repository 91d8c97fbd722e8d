-- Before a died run goes on: what had not been accepted gets its walks again, and what had been gone is asked for again: it
-- may be back, and is marked as deleted only when the run closes. What was begun to be read more than $2 ago is read again
-- too: a backfill may go on years later, and is to hold what was sent meanwhile.
UPDATE canvas_ops.search
SET status = 'pending', lease_token = NULL, leased_until = NULL, finished_at = NULL, reason = NULL
WHERE run_id = $1
  AND resource = 'Communication'
  AND (
      status = 'not_accepted'
      OR (status = 'accepted' AND parameter = '_id' AND entries = 0)
      OR (status = 'accepted' AND walk_started_at < clock_timestamp() - $2::interval)
  )
