-- What lies open in quarantine, by reason, and how much of it an operator has accepted.
SELECT reason, count(*) AS entries, count(accepted_at) AS accepted, min(_first_seen_at) AS since
FROM canvas_ops.quarantine
WHERE resolved_at IS NULL
GROUP BY reason
ORDER BY count(*) DESC, reason
