-- Messages that verification $2 found missing, or of another version ($1), for the next sync to ask for.
INSERT INTO canvas_ops.wanted (id, _run_id)
SELECT w.id, $2::bigint FROM unnest($1::text[]) AS w (id)
ON CONFLICT (id) DO NOTHING
