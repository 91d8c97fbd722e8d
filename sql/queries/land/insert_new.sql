-- New messages, by run $1. In the order of their ids, so that two writers meet in the same order and cannot deadlock.
-- An id that another writer inserted meanwhile is left to the statements that follow.
INSERT INTO canvas.message (
    id, status, delivery, direction, patient_id, practitioner_id, sender_type, sender_id, recipient_type, recipient_id,
    sent_at, received_at, body_text, body_html, body_format, body_format_basis, payload_count,
    _run_id, _first_seen_at, _changed_at, _content_hash, _rules_version, _quality
)
SELECT
    id, status, delivery, direction, patient_id, practitioner_id, sender_type, sender_id, recipient_type, recipient_id,
    sent_at, received_at, body_text, body_html, body_format, body_format_basis, payload_count,
    $1, (SELECT canvas_ops.time_of_run($1)), (SELECT canvas_ops.time_of_run($1)), _content_hash, _rules_version, _quality
FROM pg_temp.incoming
ORDER BY id
ON CONFLICT (id) DO NOTHING
