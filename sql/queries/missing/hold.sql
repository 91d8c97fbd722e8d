-- What run $1 holds ($2), in the place of what was held before. To be run after missing/release.
INSERT INTO canvas_ops.held (id, _run_id) SELECT h.id, $1::bigint FROM unnest($2::text[]) AS h (id)
