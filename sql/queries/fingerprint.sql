-- The fingerprint of a search: what its last accepted walk saw, so that unchanged entries are skipped.

-- name: read
-- The fingerprint of search $1 = $2: what its last accepted walk saw. An entry that is served with the same bytes may be
-- skipped if it is `usable`: its row is live, holds just that content, and nothing of it is open in quarantine.
SELECT
    seen.id,
    seen.raw_hash,
    seen.content_hash,
    f.total,
    m.id IS NOT NULL AND NOT EXISTS (
        SELECT FROM canvas_ops.quarantine AS q WHERE q.message_id = seen.id AND q.resolved_at IS NULL
    ) AS usable
FROM canvas_ops.fingerprint AS f
CROSS JOIN LATERAL unnest(f.ids, f.raw_hashes, f.content_hashes) AS seen (id, raw_hash, content_hash)
LEFT JOIN canvas.message AS m ON m.id = seen.id AND m._content_hash = seen.content_hash AND m._deleted_at IS NULL
WHERE f.parameter = $1 AND f.value = $2;

-- name: write
-- Replaces the fingerprint of search $1 = $2 by what its accepted walk saw: ids $3, raw hashes $4, content hashes $5,
-- total $6, by run $7.
INSERT INTO canvas_ops.fingerprint (parameter, value, ids, raw_hashes, content_hashes, total, _run_id, _taken_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, now())
ON CONFLICT (parameter, value) DO UPDATE
SET ids = excluded.ids, raw_hashes = excluded.raw_hashes, content_hashes = excluded.content_hashes,
    total = excluded.total, _run_id = excluded._run_id, _taken_at = excluded._taken_at;

-- name: read_sizes
-- How many messages each search had last time, so that the longest start first.
SELECT parameter, value, cardinality(ids) AS size FROM canvas_ops.fingerprint;
