-- Where a batch waits inside its transaction: the new and the changed messages, nothing else. Filled by COPY.
CREATE TEMPORARY TABLE IF NOT EXISTS incoming (
    id                text        NOT NULL,
    status            text,
    delivery          text        NOT NULL,
    direction         text        NOT NULL,
    patient_id        text,
    practitioner_id   text,
    sender_type       text,
    sender_id         text,
    recipient_type    text,
    recipient_id      text,
    sent_at           timestamptz,
    received_at       timestamptz,
    body_text         text,
    body_html         text,
    body_format       text,
    body_format_basis text,
    payload_count     integer     NOT NULL,
    _content_hash     bytea       NOT NULL,
    _rules_version    text        NOT NULL,
    _quality          text[]      NOT NULL,
    resource          bytea       NOT NULL
) ON COMMIT DELETE ROWS
