-- The next $4 present versions after the id $3: derived by other rules than $1 and sent since $2 (or whenever), or found
-- altered by a verification, whatever their row says of itself. First the ids, then their resources: joined the other way
-- round, every batch reads both tables whole.
SELECT c.id, c._content_hash, c.resource
FROM (
    SELECT id, _content_hash
    FROM canvas.message
    WHERE (
            (_rules_version <> $1 AND ($2::timestamptz IS NULL OR sent_at >= $2 OR sent_at IS NULL))
            OR id IN (SELECT id FROM canvas_ops.altered)
        )
      AND id > $3
    ORDER BY id
    LIMIT $4
) AS m
JOIN canvas_ops.communication AS c ON c.id = m.id AND c._content_hash = m._content_hash
ORDER BY c.id
