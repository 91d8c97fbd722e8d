-- The one to start from: what was said between patients and practitioners, as far as anybody can tell.
-- Canvas's older API edition shows every message with status unknown, so those count as said.

CREATE OR REPLACE VIEW canvas.live_message AS
SELECT
    id,
    status,
    delivery,
    direction,
    patient_id,
    practitioner_id,
    sender_type,
    sender_id,
    recipient_type,
    recipient_id,
    sent_at,
    received_at,
    body_text,
    body_html,
    body_format,
    body_format_basis,
    payload_count,
    _first_seen_at,
    _changed_at
FROM canvas.message
WHERE _deleted_at IS NULL
  AND delivery IN ('sent', 'unknown');

COMMENT ON VIEW canvas.live_message IS 'Messages that are not deleted and were sent, or may have been (delivery sent or unknown): the one to start from.';
COMMENT ON COLUMN canvas.live_message.id IS 'As in canvas.message.';
COMMENT ON COLUMN canvas.live_message.status IS 'As in canvas.message.';
COMMENT ON COLUMN canvas.live_message.delivery IS 'sent, or unknown.';
COMMENT ON COLUMN canvas.live_message.direction IS 'As in canvas.message.';
COMMENT ON COLUMN canvas.live_message.patient_id IS 'As in canvas.message.';
COMMENT ON COLUMN canvas.live_message.practitioner_id IS 'As in canvas.message.';
COMMENT ON COLUMN canvas.live_message.sender_type IS 'As in canvas.message.';
COMMENT ON COLUMN canvas.live_message.sender_id IS 'As in canvas.message.';
COMMENT ON COLUMN canvas.live_message.recipient_type IS 'As in canvas.message.';
COMMENT ON COLUMN canvas.live_message.recipient_id IS 'As in canvas.message.';
COMMENT ON COLUMN canvas.live_message.sent_at IS 'As in canvas.message.';
COMMENT ON COLUMN canvas.live_message.received_at IS 'As in canvas.message.';
COMMENT ON COLUMN canvas.live_message.body_text IS 'As in canvas.message: what a person reading the message saw.';
COMMENT ON COLUMN canvas.live_message.body_html IS 'As in canvas.message: safe to embed in a box with overflow:auto.';
COMMENT ON COLUMN canvas.live_message.body_format IS 'As in canvas.message.';
COMMENT ON COLUMN canvas.live_message.body_format_basis IS 'As in canvas.message.';
COMMENT ON COLUMN canvas.live_message.payload_count IS 'As in canvas.message.';
COMMENT ON COLUMN canvas.live_message._first_seen_at IS 'As in canvas.message.';
COMMENT ON COLUMN canvas.live_message._changed_at IS 'As in canvas.message.';
