-- Derived columns of present versions, in place: no version is made, and _changed_at stays. Returns the messages whose
-- row still held this version.
UPDATE canvas.message AS m
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
WHERE i.id = m.id AND i._content_hash = m._content_hash
RETURNING m.id
