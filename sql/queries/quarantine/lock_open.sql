-- Which of these entries (raw hashes $1, the message ids $2 that can be read of them now) lie open still, and which are
-- doubtful: of an entry whose id could not be read when it was met, no newer version and no deletion was noted, so that
-- nothing tells whether the row, written by another run than $3, is the newer one. Locked, so that they lie open until
-- this transaction ends.
SELECT
    q.raw_hash,
    q.message_id IS NULL AND EXISTS (
        SELECT FROM canvas.message AS m WHERE m.id = r.message_id AND m._run_id <> $3::bigint
    ) AS is_doubtful
FROM unnest($1::bytea[], $2::text[]) AS r (raw_hash, message_id)
JOIN canvas_ops.quarantine AS q ON q.raw_hash = r.raw_hash
WHERE q.resolved_at IS NULL
ORDER BY q.raw_hash
FOR UPDATE OF q
