-- Practitioners met in messages ($1), by run $2: from now on they are searched for, in the roster or not.
INSERT INTO canvas.practitioner (id, in_roster, _run_id, _first_seen_at, _changed_at)
SELECT DISTINCT met.id, false, $2::bigint, now(), now()
FROM unnest($1::text[]) AS met (id)
ORDER BY met.id
ON CONFLICT (id) DO NOTHING
