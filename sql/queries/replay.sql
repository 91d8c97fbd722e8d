-- Rows derived again from the stored resources, in place.

-- name: count_older
-- How many present and past versions were derived by rules other than $1 and sent since $2 (or at any time), or were found
-- altered by a verification.
SELECT
    (
        SELECT count(*) FROM canvas.message
        WHERE (_rules_version <> $1 AND ($2::timestamptz IS NULL OR sent_at >= $2 OR sent_at IS NULL))
           OR id IN (SELECT id FROM canvas_ops.altered)
    ) + (
        SELECT count(*) FROM canvas.message_history
        WHERE _rules_version <> $1 AND ($2::timestamptz IS NULL OR sent_at >= $2 OR sent_at IS NULL)
    );

-- name: read_current
-- The next $4 present versions after the id $3 that were derived by rules other than $1 and sent since $2 (or at any
-- time), or were found altered by a verification. First the ids, then their resources: joined the other way round, every
-- batch would read both tables whole.
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
ORDER BY c.id;

-- name: settle_altered
-- Forgets that the rows of the staged messages were altered: they are what their resources say now.
DELETE FROM canvas_ops.altered AS a USING pg_temp.incoming AS i WHERE i.id = a.id;

-- name: read_past
-- The next $5 past versions derived by rules other than $1 and sent since $2 (or at any time), after id $3 and hash $4.
-- First which they are, then their resources, so that these are not sorted.
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
ORDER BY c.id, c._content_hash;

-- name: update_past
-- Writes the derived columns of past versions again, in place.
UPDATE canvas.message_history AS h
SET
    status = i.status,
    delivery = i.delivery,
    direction = i.direction,
    patient_id = i.patient_id,
    practitioner_id = i.practitioner_id,
    sender_type = i.sender_type,
    sender_id = i.sender_id,
    recipient_type = i.recipient_type,
    recipient_id = i.recipient_id,
    sent_at = i.sent_at,
    received_at = i.received_at,
    body_text = i.body_text,
    body_html = i.body_html,
    body_format = i.body_format,
    body_format_basis = i.body_format_basis,
    payload_count = i.payload_count,
    _rules_version = i._rules_version,
    _quality = i._quality
FROM pg_temp.incoming AS i
WHERE i.id = h.id AND i._content_hash = h._content_hash;
