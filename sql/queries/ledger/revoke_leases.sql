-- Before a run begins or goes on: whoever held the run lock before has lost it, and with it every lease. A worker that
-- still believes in one finds its token gone and lands nothing.
UPDATE canvas_ops.search
SET status = 'pending', lease_token = NULL, leased_until = NULL
WHERE status = 'walking'
