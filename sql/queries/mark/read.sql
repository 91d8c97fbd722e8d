-- What the last accepted walk of search $1 = $2 saw, and which of it may be skipped: last served with just these bytes,
-- and the row is alive, still holds just that, and has nothing open in quarantine.
SELECT
    seen.id,
    seen.raw_hash,
    seen.content_hash,
    k.total,
    m.id IS NOT NULL AND NOT EXISTS (
        SELECT FROM canvas_ops.quarantine AS q WHERE q.message_id = seen.id AND q.resolved_at IS NULL
    ) AS usable
FROM canvas_ops.mark AS k
CROSS JOIN LATERAL unnest(k.ids, k.raw_hashes, k.content_hashes) AS seen (id, raw_hash, content_hash)
LEFT JOIN canvas.message AS m ON m.id = seen.id AND m._content_hash = seen.content_hash AND m._deleted_at IS NULL
WHERE k.parameter = $1 AND k.value = $2
