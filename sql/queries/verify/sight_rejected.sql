-- Unusable entries of search $3 for pass $2 of verification $1: keys $4, message ids $5, raw hashes $6. They should be in
-- quarantine.
INSERT INTO canvas_ops.sighting (run_id, pass, search, key, message_id, row_differs)
SELECT
    $1::bigint, $2::smallint, $3::integer, r.key, r.message_id,
    NOT EXISTS (SELECT FROM canvas_ops.quarantine AS q WHERE q.raw_hash = r.raw_hash)
FROM unnest($4::text[], $5::text[], $6::bytea[]) AS r (key, message_id, raw_hash)
ON CONFLICT (run_id, pass, key, search) DO NOTHING
