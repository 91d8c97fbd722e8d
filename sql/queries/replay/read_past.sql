-- The next $5 past versions derived by other rules than $1, sent since $2 (or whenever), after id $3 and hash $4. First which
-- they are, then their resources, so that these are not sorted.
SELECT c.id, c._content_hash, c.resource
FROM (
    SELECT DISTINCT id, _content_hash
    FROM canvas.message_history
    WHERE _rules_version <> $1
      AND ($2::timestamptz IS NULL OR sent_at >= $2 OR sent_at IS NULL)
      AND (id, _content_hash) > ($3::text, $4::bytea)
    ORDER BY id, _content_hash
    LIMIT $5
) AS h
JOIN canvas_ops.communication AS c ON c.id = h.id AND c._content_hash = h._content_hash
ORDER BY c.id, c._content_hash
