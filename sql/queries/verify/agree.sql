-- Whether passes $2 and $3 of verification $1 saw the same.
WITH
    one AS (SELECT key, content_hash FROM canvas_ops.sighting WHERE run_id = $1 AND pass = $2),
    other AS (SELECT key, content_hash FROM canvas_ops.sighting WHERE run_id = $1 AND pass = $3)
SELECT NOT EXISTS (
    (SELECT * FROM one EXCEPT SELECT * FROM other)
    UNION ALL
    (SELECT * FROM other EXCEPT SELECT * FROM one)
)
