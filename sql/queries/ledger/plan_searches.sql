-- The work list of run $1: parameters $2 and values $3, in the order they are to be claimed.
INSERT INTO canvas_ops.search (run_id, resource, parameter, value, place)
SELECT $1::bigint, 'Communication', planned.parameter, planned.value, planned.place
FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS planned (parameter, value, place)
ON CONFLICT (run_id, resource, parameter, value) DO NOTHING
