-- Messages whose rows verification $2 found altered ($1), for the next replay to write anew.
INSERT INTO canvas_ops.altered (id, _run_id)
SELECT a.id, $2::bigint FROM unnest($1::text[]) AS a (id)
ON CONFLICT (id) DO NOTHING
