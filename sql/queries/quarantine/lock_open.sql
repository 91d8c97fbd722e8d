-- Which of these entries (raw hashes $1) lie open still. Locked, so that they do until this transaction ends.
SELECT raw_hash
FROM canvas_ops.quarantine
WHERE raw_hash = ANY ($1::bytea[]) AND resolved_at IS NULL
ORDER BY raw_hash
FOR UPDATE
