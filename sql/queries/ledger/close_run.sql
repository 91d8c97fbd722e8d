-- Closes run $1 with outcome $2, the sums $3–$9, $12 and $15 of its searches, its requests $13, how many messages it marked as deleted ($10)
-- and how many it held ($14), and why it was not complete beside what its searches say ($11).
-- A run that is closed stays as it is.
UPDATE canvas_ops.run
SET outcome = $2, as_of = $3, searches = $4, searches_accepted = $5, entries = $6, inserted = $7, updated = $8,
    quarantined = $9, deleted = $10, reason = $11, outside = $12, requests = greatest(requests, $13), held = $14, unseen = $15,
    closed_at = greatest(clock_timestamp(), held_since, (SELECT max(_changed_at) FROM canvas.message))
WHERE id = $1 AND closed_at IS NULL
