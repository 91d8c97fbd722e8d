-- Practitioners who are not the first recipient were not noted as met, so nobody searched for their other messages.

INSERT INTO canvas.practitioner (id, in_roster, _run_id, _first_seen_at, _changed_at)
SELECT DISTINCT ON (r.recipient_id) r.recipient_id, false, m._run_id, now(), now()
FROM canvas.message_recipient AS r
JOIN canvas.message AS m ON m.id = r.message_id
WHERE r.recipient_type = 'Practitioner'
ORDER BY r.recipient_id, m._run_id
ON CONFLICT (id) DO NOTHING;
