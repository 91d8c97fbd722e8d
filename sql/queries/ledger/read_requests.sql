-- How many requests run $1 has made so far, in the processes that worked on it before.
SELECT requests FROM canvas_ops.run WHERE id = $1
