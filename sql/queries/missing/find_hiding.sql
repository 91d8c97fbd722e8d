-- Searches of run $1 that were accepted though they hide something: a live message of theirs was shown by no search but the
-- one by its id, and is just as it was. What this run changed may have been theirs before, and what lies open in quarantine
-- was shown, only not as a row.
WITH accepted AS (
    SELECT id, parameter, value, entries
    FROM canvas_ops.search
    WHERE run_id = $1 AND resource = 'Communication' AND status = 'accepted'
),
shown_by_id_alone AS (
    SELECT value AS id
    FROM accepted
    WHERE parameter = '_id' AND entries > 0
    EXCEPT
    SELECT unnest(k.ids)
    FROM canvas_ops.mark AS k
    JOIN accepted AS a ON a.parameter = k.parameter AND a.value = k.value
    WHERE a.parameter <> '_id'
),
hidden AS (
    SELECT m.sender_type || '/' || m.sender_id AS sender, m.recipient_type || '/' || m.recipient_id AS recipient
    FROM canvas.message AS m
    JOIN shown_by_id_alone AS s ON s.id = m.id
    WHERE m._deleted_at IS NULL
      AND m._run_id <> $1
      AND NOT EXISTS (SELECT FROM canvas_ops.quarantine AS q WHERE q.message_id = m.id AND q.resolved_at IS NULL)
)
SELECT id
FROM accepted
WHERE (parameter = 'sender' AND value IN (SELECT sender FROM hidden))
   OR (parameter = 'recipient' AND value IN (SELECT recipient FROM hidden))
ORDER BY id
