-- What run $1 has on its work list, done or not.
SELECT parameter, value FROM canvas_ops.search WHERE run_id = $1 AND resource = 'Communication'
