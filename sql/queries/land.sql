-- Landing a batch of messages: staged, told apart from what is there, written in one transaction. And the roster of practitioners.

-- name: read_suppressed
-- Which of a batch's messages (ids $1, their patients $2, in the same order) must not be landed.
SELECT served.id
FROM unnest($1::text[], $2::text[]) AS served (id, patient_id)
WHERE EXISTS (SELECT FROM canvas_ops.suppressed AS s WHERE s.kind = 'message' AND s.id = served.id)
   OR EXISTS (SELECT FROM canvas_ops.suppressed AS s WHERE s.kind = 'patient' AND s.id = served.patient_id);

-- name: read_current
-- What the table holds of a batch's ids ($1), to tell new, changed and unchanged apart before anything is written.
SELECT id, _content_hash, _deleted_at IS NOT NULL AS deleted
FROM canvas.message
WHERE id = ANY ($1::text[]);

-- name: lock_whole
-- Which of these messages ($1) are live and whole. Locked in the order of their ids, so that no partial version lands over them.
SELECT id
FROM canvas.message
WHERE id = ANY ($1::text[]) AND _deleted_at IS NULL AND 'partial' <> ALL (_quality)
ORDER BY id
FOR UPDATE;

-- name: stage
-- Where a batch waits inside its transaction: the new and the changed messages, nothing else. Filled by COPY.
CREATE TEMPORARY TABLE IF NOT EXISTS incoming (
    id                text        COLLATE "C" NOT NULL,
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
) ON COMMIT DELETE ROWS;

-- name: empty_stage
-- Before a batch is staged: a transaction may land several, one after the other.
DELETE FROM pg_temp.incoming;

-- name: insert_versions
-- The resources as received, by run $1. A version that came back is there already. In the order of their ids, so that
-- two writers meet in the same order and cannot deadlock.
INSERT INTO canvas_ops.communication (id, _content_hash, resource, _run_id, _first_seen_at)
SELECT id, _content_hash, resource, $1, now()
FROM pg_temp.incoming
ORDER BY id
ON CONFLICT (id, _content_hash) DO NOTHING;

-- name: insert_new
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
ON CONFLICT (id) DO NOTHING;

-- name: lock_rows
-- Locks the rows of the batch, in the order of their ids: also those that another writer has meanwhile made what they are
-- to be, since the recipients and payloads of all are written anew.
SELECT m.id
FROM canvas.message AS m
JOIN pg_temp.incoming AS i ON i.id = m.id
ORDER BY m.id
FOR UPDATE OF m;

-- name: count_unseen
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
  );

-- name: keep_history
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
WHERE m._content_hash <> i._content_hash OR m._deleted_at IS NOT NULL;

-- name: update_changed
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
  AND (m._content_hash <> i._content_hash OR m._deleted_at IS NOT NULL);

-- name: drop_recipients
-- Before the recipients of changed messages ($1) are written anew.
DELETE FROM canvas.message_recipient WHERE message_id = ANY ($1::text[]);

-- name: drop_payloads
-- Before the payloads of changed messages ($1) are written anew.
DELETE FROM canvas.message_payload WHERE message_id = ANY ($1::text[]);

-- name: insert_recipients
-- Recipients of messages that have several: message ids $1, positions $2, types $3, ids $4.
INSERT INTO canvas.message_recipient (message_id, position, recipient_type, recipient_id)
SELECT * FROM unnest($1::text[], $2::integer[], $3::text[], $4::text[]);

-- name: insert_payloads
-- Payloads of messages that have several: message ids $1, positions $2, texts $3, HTML $4, formats $5, bases $6.
INSERT INTO canvas.message_payload (message_id, position, body_text, body_html, body_format, body_format_basis)
SELECT * FROM unnest($1::text[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::text[]);

-- name: read_added
-- What somebody may have added to the tables of the schemas $1 that takes part in writing a row: indexes that are not ours
-- ($2), generated columns, triggers. Constraints are named by the server itself.
SELECT 'index ' || i.indexrelid::regclass AS name
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE c.relnamespace::regnamespace::text = ANY ($1::text[])
  AND c.relname <> ALL ($2::text[])
  AND NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = i.indexrelid)
UNION ALL
SELECT 'column ' || c.oid::regclass || '.' || quote_ident(t.attname)
FROM pg_attribute AS t
JOIN pg_class AS c ON c.oid = t.attrelid
WHERE c.relnamespace::regnamespace::text = ANY ($1::text[]) AND c.relkind = 'r' AND t.attgenerated <> ''
UNION ALL
SELECT 'trigger ' || quote_ident(g.tgname) || ' on ' || c.oid::regclass
FROM pg_trigger AS g
JOIN pg_class AS c ON c.oid = g.tgrelid
WHERE c.relnamespace::regnamespace::text = ANY ($1::text[]) AND NOT g.tgisinternal
ORDER BY 1;

-- name: note_practitioners
-- Practitioners met in messages ($1), by run $2: from now on they are searched for, in the roster or not.
INSERT INTO canvas.practitioner (id, in_roster, _run_id, _first_seen_at, _changed_at)
SELECT DISTINCT met.id, false, $2::bigint, now(), now()
FROM unnest($1::text[]) AS met (id)
ORDER BY met.id
ON CONFLICT (id) DO NOTHING;

-- name: save_roster
-- The roster that was listed: ids $1, active $2, names $3 (null: not to be stored), by run $4. Unchanged rows are not written.
INSERT INTO canvas.practitioner AS p (id, active, in_roster, name, _run_id, _first_seen_at, _changed_at)
SELECT listed.id, listed.active, true, listed.name, $4::bigint, now(), now()
FROM unnest($1::text[], $2::boolean[], $3::text[]) AS listed (id, active, name)
ORDER BY listed.id
ON CONFLICT (id) DO UPDATE
SET active = excluded.active, in_roster = true, name = excluded.name, _run_id = excluded._run_id, _changed_at = now()
WHERE (p.active, p.in_roster, p.name) IS DISTINCT FROM (excluded.active, true, excluded.name);

-- name: leave_roster
-- Practitioners whom a whole, accepted roster ($1) no longer lists, by run $2. They are still searched for.
UPDATE canvas.practitioner
SET in_roster = false, _run_id = $2, _changed_at = now()
WHERE in_roster AND id <> ALL ($1::text[]);

-- name: keep_roster_size
-- The roster of run $1, believed, names $2 practitioners.
UPDATE canvas_ops.run SET roster = $2 WHERE id = $1;

-- name: read_roster_size
-- How many practitioners the last roster named that was believed; null if there was none. Before run.roster was kept: those
-- who are on it still.
SELECT coalesce(
    (SELECT roster FROM canvas_ops.run WHERE roster IS NOT NULL ORDER BY id DESC LIMIT 1),
    (SELECT nullif(count(*), 0) FROM canvas.practitioner WHERE in_roster)
);

-- name: read_practitioners
-- Everyone known, listed or met.
SELECT id FROM canvas.practitioner ORDER BY id;
