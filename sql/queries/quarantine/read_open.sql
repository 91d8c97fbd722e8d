-- The next $4 entries that lie open, met since $1 (or whenever), in the order they were last served, after time $2 and hash $3.
SELECT raw_hash, entry, _last_seen_at
FROM canvas_ops.quarantine
WHERE resolved_at IS NULL
  AND ($1::timestamptz IS NULL OR _first_seen_at >= $1)
  AND (_last_seen_at, raw_hash) > ($2::timestamptz, $3::bytea)
ORDER BY _last_seen_at, raw_hash
LIMIT $4
