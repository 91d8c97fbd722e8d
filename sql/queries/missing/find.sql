-- Live messages that run $1 should have been shown and was not: their own search was accepted (by sender, or by the
-- first recipient), and no accepted search's mark holds them.
SELECT m.id
FROM canvas.message AS m
WHERE m._deleted_at IS NULL
  AND EXISTS (
      SELECT
      FROM canvas_ops.search AS s
      WHERE s.run_id = $1
        AND s.status = 'accepted'
        AND (s.parameter, s.value) IN (
            ('sender', m.sender_type || '/' || m.sender_id),
            ('recipient', m.recipient_type || '/' || m.recipient_id)
        )
  )
  AND NOT EXISTS (
      SELECT
      FROM (
          SELECT unnest(k.ids) AS id
          FROM canvas_ops.mark AS k
          JOIN canvas_ops.search AS s ON s.parameter = k.parameter AND s.value = k.value
          WHERE s.run_id = $1 AND s.status = 'accepted'
      ) AS shown
      WHERE shown.id = m.id
  )
ORDER BY m.id
