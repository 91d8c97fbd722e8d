-- Messages to be asked for one by one in run $1: ids $2, after everything else.
INSERT INTO canvas_ops.search (run_id, resource, parameter, value, place)
SELECT $1::bigint, 'Communication', '_id', asked.id, 2147483647
FROM unnest($2::text[]) AS asked (id)
ON CONFLICT (run_id, resource, parameter, value) DO NOTHING
