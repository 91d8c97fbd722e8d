-- What lies open in quarantine, by reason.
SELECT reason, count(*) AS entries, min(_first_seen_at) AS since
FROM canvas_ops.quarantine
WHERE resolved_at IS NULL
GROUP BY reason
ORDER BY count(*) DESC, reason
