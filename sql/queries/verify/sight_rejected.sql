-- Unusable entries for pass $2 of verification $1: keys $3, message ids $4, raw hashes $5. They should be in quarantine.
INSERT INTO canvas_ops.sighting (run_id, pass, key, message_id, row_differs)
SELECT
    $1::bigint, $2::smallint, r.key, r.message_id,
    NOT EXISTS (SELECT FROM canvas_ops.quarantine AS q WHERE q.raw_hash = r.raw_hash)
FROM unnest($3::text[], $4::text[], $5::bytea[]) AS r (key, message_id, raw_hash)
ON CONFLICT (run_id, pass, key) DO NOTHING
