-- The roster that was listed: ids $1, active $2, names $3 (null: not to be stored), by run $4. Unchanged rows are not written.
INSERT INTO canvas.practitioner AS p (id, active, in_roster, name, _run_id, _first_seen_at, _changed_at)
SELECT listed.id, listed.active, true, listed.name, $4::bigint, now(), now()
FROM unnest($1::text[], $2::boolean[], $3::text[]) AS listed (id, active, name)
ORDER BY listed.id
ON CONFLICT (id) DO UPDATE
SET active = excluded.active, in_roster = true, name = excluded.name, _run_id = excluded._run_id, _changed_at = now()
WHERE (p.active, p.in_roster, p.name) IS DISTINCT FROM (excluded.active, true, excluded.name)
