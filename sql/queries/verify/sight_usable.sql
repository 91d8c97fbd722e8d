-- What the staged messages, of search $3, are to the mirror, for pass $2 of verification $1. A partial version of a message that
-- the mirror holds whole cannot be its row: it should be in quarantine.
INSERT INTO canvas_ops.sighting (
    run_id, pass, search, key, message_id, content_hash, practitioner_id, sent_at, row_differs
)
SELECT
    $1, $2, $3, i.id, i.id, CASE WHEN is_set_aside THEN NULL ELSE i._content_hash END, i.practitioner_id, i.sent_at,
    CASE
        WHEN is_set_aside THEN NOT EXISTS (
            SELECT FROM canvas_ops.quarantine AS q
            WHERE q.message_id = i.id AND q.reason = 'partial' AND q.resolved_at IS NULL
        )
        ELSE m.id IS NOT NULL
        AND m._content_hash = i._content_hash
        AND m._rules_version = i._rules_version
        AND (
            m.status, m.delivery, m.direction, m.patient_id, m.practitioner_id, m.sender_type, m.sender_id,
            m.recipient_type, m.recipient_id, m.sent_at, m.received_at, m.body_text, m.body_html, m.body_format,
            m.body_format_basis, m.payload_count, m._quality
        ) IS DISTINCT FROM (
            i.status, i.delivery, i.direction, i.patient_id, i.practitioner_id, i.sender_type, i.sender_id,
            i.recipient_type, i.recipient_id, i.sent_at, i.received_at, i.body_text, i.body_html, i.body_format,
            i.body_format_basis, i.payload_count, i._quality
        )
    END
FROM pg_temp.incoming AS i
LEFT JOIN canvas.message AS m ON m.id = i.id
CROSS JOIN LATERAL (
    SELECT m.id IS NOT NULL
        AND m._deleted_at IS NULL AND 'partial' = ANY (i._quality) AND 'partial' <> ALL (m._quality) AS is_set_aside
) AS partial
ON CONFLICT (run_id, pass, key, search) DO NOTHING
