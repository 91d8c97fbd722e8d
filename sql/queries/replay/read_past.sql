-- The next $5 past versions derived by other rules than $1, sent since $2 (or whenever), after id $3 and hash $4.
SELECT DISTINCT c.id, c._content_hash, c.resource
FROM canvas.message_history AS h
JOIN canvas_ops.communication AS c ON c.id = h.id AND c._content_hash = h._content_hash
WHERE h._rules_version <> $1
  AND ($2::timestamptz IS NULL OR h.sent_at >= $2 OR h.sent_at IS NULL)
  AND (h.id, h._content_hash) > ($3::text, $4::bytea)
ORDER BY c.id, c._content_hash
LIMIT $5
