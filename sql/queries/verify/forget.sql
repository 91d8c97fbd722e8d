-- What search $3 showed in pass $2 of verification $1, in a walk that was not accepted.
DELETE FROM canvas_ops.sighting WHERE run_id = $1 AND pass = $2 AND search = $3
