-- Why searches of the newest closed run that had any were not accepted, the commonest reason first.
SELECT run_id, reason, count(*) AS searches
FROM canvas_ops.search
WHERE status = 'not_accepted'
  AND run_id = (SELECT max(id) FROM canvas_ops.run WHERE closed_at IS NOT NULL AND searches > 0)
GROUP BY run_id, reason
ORDER BY count(*) DESC, reason
