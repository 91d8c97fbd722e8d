-- The tables analysts read. One row of canvas.message is one FHIR Communication.
-- Names with a leading underscore do not come from Canvas.

CREATE TABLE canvas.message (
    id                text        PRIMARY KEY,
    status            text,
    delivery          text        NOT NULL CHECK (delivery IN ('sent', 'draft', 'scheduled', 'void', 'unknown')),
    direction         text        NOT NULL CHECK (direction IN ('patient_to_practitioner', 'practitioner_to_patient', 'unknown')),
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
    body_format       text        CHECK (body_format IN ('html', 'plain')),
    body_format_basis text        CHECK (body_format_basis IN ('before_cutoff', 'no_markup', 'cutoff_hour', 'no_sent', 'after_cutoff')),
    payload_count     integer     NOT NULL CHECK (payload_count >= 0),
    _run_id           bigint      NOT NULL,
    _first_seen_at    timestamptz NOT NULL,
    _changed_at       timestamptz NOT NULL,
    _deleted_at       timestamptz,
    _content_hash     bytea       NOT NULL,
    _rules_version    text        NOT NULL,
    CHECK ((body_format IS NULL) = (body_format_basis IS NULL)),
    CHECK (body_html IS NULL OR body_format = 'html'),
    CHECK (_changed_at >= _first_seen_at)
);

CREATE INDEX message_by_patient ON canvas.message (patient_id, sent_at);
CREATE INDEX message_by_practitioner ON canvas.message (practitioner_id, sent_at);
CREATE INDEX message_by_sent ON canvas.message (sent_at);
CREATE INDEX message_by_change ON canvas.message (_changed_at);

COMMENT ON TABLE canvas.message IS 'One row per FHIR Communication. Start from canvas.live_message unless you want drafts, scheduled or deleted messages too.';
COMMENT ON COLUMN canvas.message.id IS 'Communication.id: a dashed UUID at Canvas. The key.';
COMMENT ON COLUMN canvas.message.status IS 'Communication.status as received: completed, preparation, in-progress, unknown, …';
COMMENT ON COLUMN canvas.message.delivery IS 'What status means: sent, draft (preparation), scheduled (in-progress), void, or unknown. A practitioner''s message with status unknown may be a draft.';
COMMENT ON COLUMN canvas.message.direction IS 'patient_to_practitioner, practitioner_to_patient, or unknown where a side is missing or of another kind.';
COMMENT ON COLUMN canvas.message.patient_id IS 'The patient''s id (32 hex digits at Canvas), whichever side the patient is on.';
COMMENT ON COLUMN canvas.message.practitioner_id IS 'The practitioner''s id (32 hex digits at Canvas), whichever side the practitioner is on.';
COMMENT ON COLUMN canvas.message.sender_type IS 'Resource type of Communication.sender, such as Patient.';
COMMENT ON COLUMN canvas.message.sender_id IS 'Id of Communication.sender.';
COMMENT ON COLUMN canvas.message.recipient_type IS 'Resource type of the first Communication.recipient.';
COMMENT ON COLUMN canvas.message.recipient_id IS 'Id of the first Communication.recipient; several are in canvas.message_recipient.';
COMMENT ON COLUMN canvas.message.sent_at IS 'Communication.sent. Supplied by the client on create, so it may be backdated; may be missing.';
COMMENT ON COLUMN canvas.message.received_at IS 'Communication.received. On messages to practitioners it is set when somebody marks them as read, so it changes later; never set on messages sent from the Canvas UI to a patient.';
COMMENT ON COLUMN canvas.message.body_text IS 'What a person reading the message saw. Several payloads are joined by a blank line. Null if there was no content.';
COMMENT ON COLUMN canvas.message.body_html IS 'The body as HTML that is safe to embed. Null for plain text, and for HTML over the size or depth caps.';
COMMENT ON COLUMN canvas.message.body_format IS 'html or plain: how the body was read. Null if there was no content.';
COMMENT ON COLUMN canvas.message.body_format_basis IS 'Which rule decided body_format: before_cutoff, no_markup, cutoff_hour, no_sent or after_cutoff, the first that applies.';
COMMENT ON COLUMN canvas.message.payload_count IS 'How many payloads the Communication has; with several, each is in canvas.message_payload.';
COMMENT ON COLUMN canvas.message._run_id IS 'The run that last wrote this row (canvas_ops.run).';
COMMENT ON COLUMN canvas.message._first_seen_at IS 'When the mirror first had this message.';
COMMENT ON COLUMN canvas.message._changed_at IS 'When the mirror last learnt of a change. Read incrementally by this column.';
COMMENT ON COLUMN canvas.message._deleted_at IS 'When the mirror learnt that the source no longer has this message. Null while it is there.';
COMMENT ON COLUMN canvas.message._content_hash IS 'Hash of the canonical resource, without meta and text. Only its change makes a version.';
COMMENT ON COLUMN canvas.message._rules_version IS 'Version of the transform rules, cutoff included, that derived this row.';

CREATE TABLE canvas.message_recipient (
    message_id     text    NOT NULL REFERENCES canvas.message (id) ON DELETE CASCADE,
    position       integer NOT NULL CHECK (position >= 1),
    recipient_type text,
    recipient_id   text,
    PRIMARY KEY (message_id, position)
);

COMMENT ON TABLE canvas.message_recipient IS 'The recipients of messages that have several, in the order of the resource. Messages with one recipient are not in here.';
COMMENT ON COLUMN canvas.message_recipient.message_id IS 'canvas.message.id.';
COMMENT ON COLUMN canvas.message_recipient.position IS 'Place in Communication.recipient, from 1.';
COMMENT ON COLUMN canvas.message_recipient.recipient_type IS 'Resource type of the recipient, such as Patient.';
COMMENT ON COLUMN canvas.message_recipient.recipient_id IS 'Id of the recipient.';

CREATE TABLE canvas.message_payload (
    message_id        text    NOT NULL REFERENCES canvas.message (id) ON DELETE CASCADE,
    position          integer NOT NULL CHECK (position >= 1),
    body_text         text,
    body_html         text,
    body_format       text    CHECK (body_format IN ('html', 'plain')),
    body_format_basis text    CHECK (body_format_basis IN ('before_cutoff', 'no_markup', 'cutoff_hour', 'no_sent', 'after_cutoff')),
    PRIMARY KEY (message_id, position)
);

COMMENT ON TABLE canvas.message_payload IS 'The payloads of messages that have several, in the order of the resource. Messages with one payload are not in here.';
COMMENT ON COLUMN canvas.message_payload.message_id IS 'canvas.message.id.';
COMMENT ON COLUMN canvas.message_payload.position IS 'Place in Communication.payload, from 1.';
COMMENT ON COLUMN canvas.message_payload.body_text IS 'What a person reading this payload saw. Null if it has no contentString.';
COMMENT ON COLUMN canvas.message_payload.body_html IS 'This payload as HTML that is safe to embed. Null for plain text, and for HTML over the caps.';
COMMENT ON COLUMN canvas.message_payload.body_format IS 'html or plain. Null if there is no content.';
COMMENT ON COLUMN canvas.message_payload.body_format_basis IS 'Which rule decided body_format.';

-- Past versions only: the present one is the row of canvas.message, so a first load writes nothing here.
CREATE TABLE canvas.message_history (
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
    _run_id           bigint      NOT NULL,
    _known_from       timestamptz NOT NULL,
    _known_to         timestamptz NOT NULL,
    _deleted_at       timestamptz,
    _content_hash     bytea       NOT NULL,
    _rules_version    text        NOT NULL,
    PRIMARY KEY (id, _known_from),
    CHECK (_known_to > _known_from)
);

COMMENT ON TABLE canvas.message_history IS 'Past versions of messages: what the mirror knew, and from when to when it knew it (not when it happened). The present version is in canvas.message.';
COMMENT ON COLUMN canvas.message_history.id IS 'canvas.message.id.';
COMMENT ON COLUMN canvas.message_history.status IS 'As in canvas.message, then.';
COMMENT ON COLUMN canvas.message_history.delivery IS 'As in canvas.message, then.';
COMMENT ON COLUMN canvas.message_history.direction IS 'As in canvas.message, then.';
COMMENT ON COLUMN canvas.message_history.patient_id IS 'As in canvas.message, then.';
COMMENT ON COLUMN canvas.message_history.practitioner_id IS 'As in canvas.message, then.';
COMMENT ON COLUMN canvas.message_history.sender_type IS 'As in canvas.message, then.';
COMMENT ON COLUMN canvas.message_history.sender_id IS 'As in canvas.message, then.';
COMMENT ON COLUMN canvas.message_history.recipient_type IS 'As in canvas.message, then.';
COMMENT ON COLUMN canvas.message_history.recipient_id IS 'As in canvas.message, then.';
COMMENT ON COLUMN canvas.message_history.sent_at IS 'As in canvas.message, then.';
COMMENT ON COLUMN canvas.message_history.received_at IS 'As in canvas.message, then.';
COMMENT ON COLUMN canvas.message_history.body_text IS 'As in canvas.message, then.';
COMMENT ON COLUMN canvas.message_history.body_html IS 'As in canvas.message, then.';
COMMENT ON COLUMN canvas.message_history.body_format IS 'As in canvas.message, then.';
COMMENT ON COLUMN canvas.message_history.body_format_basis IS 'As in canvas.message, then.';
COMMENT ON COLUMN canvas.message_history.payload_count IS 'As in canvas.message, then.';
COMMENT ON COLUMN canvas.message_history._run_id IS 'The run that wrote this version.';
COMMENT ON COLUMN canvas.message_history._known_from IS 'When the mirror learnt of this version.';
COMMENT ON COLUMN canvas.message_history._known_to IS 'When the mirror learnt that it was no longer so.';
COMMENT ON COLUMN canvas.message_history._deleted_at IS 'Set if this version said that the source no longer had the message.';
COMMENT ON COLUMN canvas.message_history._content_hash IS 'Hash of this version''s canonical resource; with id the key of canvas_ops.communication.';
COMMENT ON COLUMN canvas.message_history._rules_version IS 'Version of the transform rules that derived these columns.';

CREATE TABLE canvas.practitioner (
    id             text        PRIMARY KEY,
    active         boolean,
    in_roster      boolean     NOT NULL,
    name           text,
    _run_id        bigint      NOT NULL,
    _first_seen_at timestamptz NOT NULL,
    _changed_at    timestamptz NOT NULL
);

COMMENT ON TABLE canvas.practitioner IS 'Every practitioner whose messages are searched for: those of the Practitioner roster, and those met only in messages.';
COMMENT ON COLUMN canvas.practitioner.id IS 'Practitioner.id (32 hex digits at Canvas).';
COMMENT ON COLUMN canvas.practitioner.active IS 'Practitioner.active. Null for one met only in messages.';
COMMENT ON COLUMN canvas.practitioner.in_roster IS 'Whether the last accepted roster listed this practitioner.';
COMMENT ON COLUMN canvas.practitioner.name IS 'Name as text. Null unless MIRROR_PRACTITIONER_NAMES is on.';
COMMENT ON COLUMN canvas.practitioner._run_id IS 'The run that last wrote this row.';
COMMENT ON COLUMN canvas.practitioner._first_seen_at IS 'When the mirror first knew of this practitioner.';
COMMENT ON COLUMN canvas.practitioner._changed_at IS 'When the mirror last learnt of a change.';
