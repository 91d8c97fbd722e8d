-- Rejected entries: raw hashes $1, message ids $2, reasons $3, entries $4, of search $5 = $6, by run $7.
-- Returns those that are new here, or open again.
INSERT INTO canvas_ops.quarantine AS q (
    raw_hash, message_id, reason, entry, parameter, value, _run_id, _first_seen_at, _last_run_id, _last_seen_at
)
SELECT r.raw_hash, r.message_id, r.reason, r.entry, $5::text, $6::text, $7::bigint, now(), $7::bigint, now()
FROM unnest($1::bytea[], $2::text[], $3::text[], $4::bytea[]) AS r (raw_hash, message_id, reason, entry)
WHERE NOT EXISTS (SELECT FROM canvas_ops.suppressed AS s WHERE s.kind = 'message' AND s.id = r.message_id)
ORDER BY r.raw_hash
ON CONFLICT (raw_hash) DO UPDATE
SET resolved_at = NULL, _last_run_id = excluded._last_run_id, _last_seen_at = excluded._last_seen_at
WHERE q.resolved_at IS NOT NULL
RETURNING q.raw_hash
