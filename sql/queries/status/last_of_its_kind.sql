-- How many entries the last complete run was served that asked for the same as run $1 does, and how long it took.
SELECT last.entries, extract(epoch FROM last.closed_at - last.started_at)::float8 AS seconds
FROM canvas_ops.run AS this
JOIN canvas_ops.run AS last ON last.job = this.job AND last.selection = this.selection AND last.id < this.id
WHERE this.id = $1 AND last.outcome = 'complete'
ORDER BY last.id DESC
LIMIT 1
