-- Whether run $1 put more messages into the table than its statistics know of: a first load, most often.
SELECT c.reltuples < (SELECT coalesce(sum(s.inserted), 0) FROM canvas_ops.search AS s WHERE s.run_id = $1)
FROM pg_class AS c
WHERE c.oid = 'canvas.message'::regclass
