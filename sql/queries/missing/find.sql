-- Live messages that run $1 should have been shown and was not: their own search was accepted (by sender, or by the
-- first recipient), no accepted search's mark holds them, and no version of theirs that cannot be a row was served to it.
-- Sets are taken from one another, rather than rows looked up: a table just filled has no statistics yet, and a nested
-- loop over marks and messages would be quadratic.
WITH accepted AS (
    SELECT parameter, value
    FROM canvas_ops.search
    WHERE run_id = $1 AND resource = 'Communication' AND status = 'accepted'
)
(
    SELECT m.id
    FROM canvas.message AS m
    WHERE m._deleted_at IS NULL
      AND m.sender_type || '/' || m.sender_id IN (SELECT value FROM accepted WHERE parameter = 'sender')
    UNION ALL
    SELECT m.id
    FROM canvas.message AS m
    WHERE m._deleted_at IS NULL
      AND m.recipient_type || '/' || m.recipient_id IN (SELECT value FROM accepted WHERE parameter = 'recipient')
)
EXCEPT
SELECT unnest(k.ids)
FROM canvas_ops.mark AS k
JOIN accepted AS a ON a.parameter = k.parameter AND a.value = k.value
EXCEPT
SELECT message_id
FROM canvas_ops.quarantine
WHERE _last_run_id = $1 AND resolved_at IS NULL
ORDER BY 1
