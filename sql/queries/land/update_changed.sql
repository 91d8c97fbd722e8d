-- Changed messages, by run $1; one that had been deleted is alive again.
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
    _run_id = $1,
    _changed_at = greatest((SELECT canvas_ops.time_of_run($1)), m._changed_at + interval '1 microsecond'),
    _deleted_at = NULL,
    _content_hash = i._content_hash,
    _rules_version = i._rules_version,
    _quality = i._quality
FROM pg_temp.incoming AS i
WHERE i.id = m.id
  AND (m._content_hash <> i._content_hash OR m._deleted_at IS NOT NULL)
