-- A batch of messages: compared with what is there, staged, and written in one transaction. Also the practitioners.

-- name: read_suppressed
-- Which messages of a batch must not be landed: ids $1 and their patients $2, in the same order.
SELECT served.id
FROM unnest($1::text[], $2::text[]) AS served (id, patient_id)
WHERE EXISTS (SELECT FROM canvas_ops.suppressed AS s WHERE s.kind = 'message' AND s.id = served.id)
   OR EXISTS (SELECT FROM canvas_ops.suppressed AS s WHERE s.kind = 'patient' AND s.id = served.patient_id);

-- name: read_current
-- What the table holds of these ids ($1), to tell new, changed and unchanged apart before anything is written.
SELECT id, _content_hash, _deleted_at IS NOT NULL AS deleted
FROM canvas.message
WHERE id = ANY ($1::text[]);

-- name: lock_whole
-- Which of these messages ($1) are live and whole. Their rows are locked, in the order of their ids, so that no
-- partial version lands over a whole one.
SELECT id
FROM canvas.message
WHERE id = ANY ($1::text[]) AND _deleted_at IS NULL AND 'partial' <> ALL (_quality)
ORDER BY id
FOR UPDATE;

-- name: stage
-- The temporary table in which a batch waits inside its transaction: its new and its changed messages. Filled by COPY.
CREATE TEMPORARY TABLE IF NOT EXISTS incoming ON COMMIT DELETE ROWS
AS SELECT m.*, NULL::bytea AS resource FROM canvas.message AS m WITH NO DATA;

-- name: empty_stage
-- Empties it before a batch is staged: one transaction may land several batches.
DELETE FROM pg_temp.incoming;

-- name: insert_versions
-- Stores the resources as received, by run $1. A version that came back is there already. In the order of their ids, so
-- that two writers wait for one another and cannot deadlock.
INSERT INTO canvas_ops.communication (id, _content_hash, resource, _run_id, _first_seen_at)
SELECT id, _content_hash, resource, $1, now()
FROM pg_temp.incoming
ORDER BY id
ON CONFLICT (id, _content_hash) DO NOTHING;

-- name: insert_new
-- Inserts new messages, by run $1, in the order of their ids for the same reason. An id that another writer inserted
-- meanwhile is left to the statements that follow.
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
-- Locks the rows of the batch, in the order of their ids. Rows that another writer has already made the same are
-- included, because the recipients and payloads of the whole batch are written again.
SELECT m.id
FROM canvas.message AS m
JOIN pg_temp.incoming AS i ON i.id = m.id
ORDER BY m.id
FOR UPDATE OF m;

-- name: count_unseen
-- How many of these staged messages ($1) are about to change, and in no column that an analyst sees.
SELECT count(*)
FROM canvas.message AS m
JOIN pg_temp.incoming AS i ON i.id = m.id
WHERE m.id = ANY ($1::text[])
  AND m._content_hash <> i._content_hash
  AND m._deleted_at IS NULL
  AND canvas_ops.fields_of(row_to_json(m)) IS NOT DISTINCT FROM canvas_ops.fields_of(row_to_json(i));

-- name: keep_history
-- Copies the versions that run $1 is about to overwrite into canvas.message_history. Each was known from when it was
-- written until now. Columns of the same name are copied, so that no field is named here.
INSERT INTO canvas.message_history
SELECT h.*
FROM canvas.message AS m
JOIN pg_temp.incoming AS i ON i.id = m.id
CROSS JOIN LATERAL (
    SELECT
        m.*,
        m._changed_at AS _known_from,
        greatest((SELECT canvas_ops.time_of_run($1)), m._changed_at + interval '1 microsecond') AS _known_to
) AS past
CROSS JOIN LATERAL json_populate_record(NULL::canvas.message_history, row_to_json(past)) AS h
WHERE m._content_hash <> i._content_hash OR m._deleted_at IS NOT NULL;

-- name: update
-- Overwrites rows by the staged messages, and returns their ids. In run $1: changed messages; one that had been marked as
-- deleted is live again. In a replay ($1 null): rows that hold just this version already; no version is made of it, and
-- _changed_at stays.
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
    _run_id = coalesce($1::bigint, m._run_id),
    _changed_at = CASE
        WHEN $1::bigint IS NULL THEN m._changed_at
        ELSE greatest((SELECT canvas_ops.time_of_run($1)), m._changed_at + interval '1 microsecond')
    END,
    _deleted_at = CASE WHEN $1::bigint IS NULL THEN m._deleted_at END,
    _content_hash = i._content_hash,
    _rules_version = i._rules_version,
    _quality = i._quality
FROM pg_temp.incoming AS i
WHERE i.id = m.id
  AND CASE
      WHEN $1::bigint IS NULL THEN m._content_hash = i._content_hash
      ELSE m._content_hash <> i._content_hash OR m._deleted_at IS NOT NULL
  END
RETURNING m.id;

-- name: drop_recipients
-- Deletes the recipients of changed messages ($1) before they are written again.
DELETE FROM canvas.message_recipient WHERE message_id = ANY ($1::text[]);

-- name: drop_payloads
-- Deletes the payloads of changed messages ($1) before they are written again.
DELETE FROM canvas.message_payload WHERE message_id = ANY ($1::text[]);

-- name: insert_recipients
-- Inserts the recipients of messages that have several: message ids $1, positions $2, types $3, ids $4.
INSERT INTO canvas.message_recipient (message_id, position, recipient_type, recipient_id)
SELECT * FROM unnest($1::text[], $2::integer[], $3::text[], $4::text[]);

-- name: insert_payloads
-- Inserts the payloads of messages that have several: message ids $1, positions $2, texts $3, HTML $4, formats $5,
-- bases $6.
INSERT INTO canvas.message_payload (message_id, position, body_text, body_html, body_format, body_format_basis)
SELECT * FROM unnest($1::text[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::text[]);

-- name: read_added
-- What somebody may have added to the tables of the schemas $1 that takes part in writing a row: indexes that are not
-- ours ($2), generated columns, triggers. The server itself names constraints.
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
-- Notes practitioners who were discovered in messages ($1), by run $2. From now on they are searched for, whether the
-- roster lists them or not.
INSERT INTO canvas.practitioner (id, in_roster, _run_id, _first_seen_at, _changed_at)
SELECT DISTINCT discovered.id, false, $2::bigint, now(), now()
FROM unnest($1::text[]) AS discovered (id)
ORDER BY discovered.id
ON CONFLICT (id) DO NOTHING;

-- name: save_roster
-- Writes the practitioners that the roster listed: ids $1, active $2, names $3 (null: not to be stored), by run $4.
-- Unchanged rows are not written.
INSERT INTO canvas.practitioner AS p (id, active, in_roster, name, _run_id, _first_seen_at, _changed_at)
SELECT listed.id, listed.active, true, listed.name, $4::bigint, now(), now()
FROM unnest($1::text[], $2::boolean[], $3::text[]) AS listed (id, active, name)
ORDER BY listed.id
ON CONFLICT (id) DO UPDATE
SET active = excluded.active, in_roster = true, name = excluded.name, _run_id = excluded._run_id, _changed_at = now()
WHERE (p.active, p.in_roster, p.name) IS DISTINCT FROM (excluded.active, true, excluded.name);

-- name: leave_roster
-- Marks the practitioners whom a whole, accepted roster ($1) no longer lists, by run $2. They are still searched for.
UPDATE canvas.practitioner
SET in_roster = false, _run_id = $2, _changed_at = now()
WHERE in_roster AND id <> ALL ($1::text[]);

-- name: keep_roster_size
-- Notes that the roster of run $1, which was believed, named $2 practitioners.
UPDATE canvas_ops.run SET roster = $2 WHERE id = $1;

-- name: read_roster_size
-- How many practitioners the last believed roster named. If no run noted it: how many rows say that they are on it. Null
-- if there are none.
SELECT coalesce(
    (SELECT roster FROM canvas_ops.run WHERE roster IS NOT NULL ORDER BY id DESC LIMIT 1),
    (SELECT nullif(count(*), 0) FROM canvas.practitioner WHERE in_roster)
);

-- name: read_practitioners
-- The ids of all known practitioners: those that a roster listed and those discovered in messages.
SELECT id FROM canvas.practitioner ORDER BY id;
