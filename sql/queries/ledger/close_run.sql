-- Closes run $1 with outcome $2 and the sums $3–$9 of its searches. A run that is closed stays as it is.
UPDATE canvas_ops.run
SET outcome = $2, as_of = $3, searches = $4, searches_accepted = $5, entries = $6, inserted = $7, updated = $8,
    quarantined = $9, closed_at = clock_timestamp()
WHERE id = $1 AND closed_at IS NULL
