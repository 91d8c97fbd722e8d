-- Search $1, if it is held still with token $2, is to be walked anew by whoever claims it.
UPDATE canvas_ops.search
SET status = 'pending', lease_token = NULL, leased_until = NULL
WHERE id = $1 AND lease_token = $2 AND status = 'walking'
