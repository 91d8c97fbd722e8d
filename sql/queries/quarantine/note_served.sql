-- These entries (raw hashes $1) were served again, to run $2. Locked in their order: two searches may be served the same.
UPDATE canvas_ops.quarantine AS q
SET _last_run_id = $2, _last_seen_at = now()
FROM (
    SELECT raw_hash FROM canvas_ops.quarantine WHERE raw_hash = ANY ($1::bytea[]) ORDER BY raw_hash FOR UPDATE
) AS served
WHERE q.raw_hash = served.raw_hash
