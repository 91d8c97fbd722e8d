-- How many of the staged messages ($1) are about to change, and in no column that an analyst sees.
SELECT count(*)
FROM canvas.message AS m
JOIN pg_temp.incoming AS i ON i.id = m.id
WHERE m.id = ANY ($1::text[])
  AND m._content_hash <> i._content_hash
  AND m._deleted_at IS NULL
  AND (
      m.status, m.delivery, m.direction, m.patient_id, m.practitioner_id, m.sender_type, m.sender_id,
      m.recipient_type, m.recipient_id, m.sent_at, m.received_at, m.body_text, m.body_html, m.body_format,
      m.body_format_basis, m.payload_count
  ) IS NOT DISTINCT FROM (
      i.status, i.delivery, i.direction, i.patient_id, i.practitioner_id, i.sender_type, i.sender_id,
      i.recipient_type, i.recipient_id, i.sent_at, i.received_at, i.body_text, i.body_html, i.body_format,
      i.body_format_basis, i.payload_count
  )
