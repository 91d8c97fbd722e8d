-- The version that run $1 is about to overwrite, for canvas.message_history: known from when it was written until now.
INSERT INTO canvas.message_history (
    id, status, delivery, direction, patient_id, practitioner_id, sender_type, sender_id, recipient_type, recipient_id,
    sent_at, received_at, body_text, body_html, body_format, body_format_basis, payload_count,
    _run_id, _known_from, _known_to, _deleted_at, _content_hash, _rules_version, _quality
)
SELECT
    m.id, m.status, m.delivery, m.direction, m.patient_id, m.practitioner_id, m.sender_type, m.sender_id, m.recipient_type, m.recipient_id,
    m.sent_at, m.received_at, m.body_text, m.body_html, m.body_format, m.body_format_basis, m.payload_count,
    m._run_id, m._changed_at, greatest((SELECT canvas_ops.time_of_run($1)), m._changed_at + interval '1 microsecond'), m._deleted_at,
    m._content_hash, m._rules_version, m._quality
FROM canvas.message AS m
JOIN pg_temp.incoming AS i ON i.id = m.id
WHERE m._content_hash <> i._content_hash OR m._deleted_at IS NOT NULL
