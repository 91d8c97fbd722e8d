-- Search $1, held with token $2, is walked from its first page; the lease lasts for another $3. Returns how
-- many batches were landed so far; no row: the lease was lost.
UPDATE canvas_ops.search
SET walks = walks + 1, walk_started_at = clock_timestamp(), leased_until = clock_timestamp() + $3::interval
WHERE id = $1 AND lease_token = $2 AND status = 'walking'
RETURNING landings
