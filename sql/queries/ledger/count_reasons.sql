-- Why searches of run $1 were not accepted, the commonest first.
SELECT reason, count(*) AS searches
FROM canvas_ops.search
WHERE run_id = $1 AND status = 'not_accepted' AND reason <> 'not_listed'
GROUP BY reason
ORDER BY count(*) DESC, reason
