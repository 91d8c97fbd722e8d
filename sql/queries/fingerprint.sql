-- What the last accepted walk of each search saw, so that unchanged entries are skipped.

-- name: read
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
WHERE k.parameter = $1 AND k.value = $2;

-- name: write
-- What an accepted walk of search $1 = $2 saw: ids $3, raw hashes $4, content hashes $5, its total $6, by run $7.
INSERT INTO canvas_ops.mark (parameter, value, ids, raw_hashes, content_hashes, total, _run_id, _marked_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, now())
ON CONFLICT (parameter, value) DO UPDATE
SET ids = excluded.ids, raw_hashes = excluded.raw_hashes, content_hashes = excluded.content_hashes,
    total = excluded.total, _run_id = excluded._run_id, _marked_at = excluded._marked_at;

-- name: read_sizes
-- How many messages each search had last time, to start the longest first.
SELECT parameter, value, cardinality(ids) AS size FROM canvas_ops.mark;
