-- The next $4 present versions after the id $3: derived by other rules than $1 and sent since $2 (or whenever), or found
-- altered by a verification, whatever their row says of itself.
SELECT c.id, c._content_hash, c.resource
FROM canvas.message AS m
JOIN canvas_ops.communication AS c ON c.id = m.id AND c._content_hash = m._content_hash
WHERE (
        (m._rules_version <> $1 AND ($2::timestamptz IS NULL OR m.sent_at >= $2 OR m.sent_at IS NULL))
        OR m.id IN (SELECT id FROM canvas_ops.altered)
    )
  AND m.id > $3
ORDER BY m.id
LIMIT $4
