-- Before a died run goes on: what was being walked is to be walked again. A worker that still holds one of these leases
-- finds its token gone and lands nothing.
UPDATE canvas_ops.search
SET status = 'pending', lease_token = NULL, leased_until = NULL
WHERE run_id = $1 AND status = 'walking'
