-- How many entries pass $2 of verification $1 saw.
SELECT count(*) FROM canvas_ops.sighting WHERE run_id = $1 AND pass = $2
