-- What an accepted walk of search $1 = $2 saw: ids $3, raw hashes $4, content hashes $5, its total $6, by run $7.
INSERT INTO canvas_ops.mark (parameter, value, ids, raw_hashes, content_hashes, total, _run_id, _marked_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, now())
ON CONFLICT (parameter, value) DO UPDATE
SET ids = excluded.ids, raw_hashes = excluded.raw_hashes, content_hashes = excluded.content_hashes,
    total = excluded.total, _run_id = excluded._run_id, _marked_at = excluded._marked_at
