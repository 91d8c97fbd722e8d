-- Messages that the source no longer has: found, asked for by id, and then marked as deleted or held.

-- name: has_outgrown
-- Whether run $1 put more messages into the table than its statistics know of: a first load, usually.
SELECT c.reltuples < (SELECT coalesce(sum(s.new), 0) FROM canvas_ops.search AS s WHERE s.run_id = $1)
FROM pg_class AS c
WHERE c.oid = 'canvas.message'::regclass;

-- name: sample_less
-- Lets `analyze` take a small sample, in this transaction only. Reading a fresh page for the first time costs a write.
SET LOCAL default_statistics_target = 10;

-- name: analyze
-- Renews the statistics of what a first load has filled. Without them the planner takes the tables for empty. Autovacuum
-- takes a larger sample later.
ANALYZE canvas.message, canvas_ops.communication, canvas_ops.fingerprint, canvas_ops.search;

-- name: find
-- Live messages that run $1 should have been shown and was not: the search of their sender or first recipient was
-- accepted, no accepted search's fingerprint holds them, and the run was served no version of them that is in quarantine.
-- Sets are subtracted, rather than rows looked up: a table just filled has no statistics yet, and a nested loop over
-- fingerprints and messages would be quadratic.
WITH accepted AS (
    SELECT parameter, value
    FROM canvas_ops.search
    WHERE run_id = $1 AND resource = 'Communication' AND status = 'accepted'
)
(
    SELECT m.id
    FROM canvas.message AS m
    WHERE m._deleted_at IS NULL
      AND m.sender_type || '/' || m.sender_id IN (SELECT value FROM accepted WHERE parameter = 'sender')
    UNION ALL
    SELECT m.id
    FROM canvas.message AS m
    WHERE m._deleted_at IS NULL
      AND m.recipient_type || '/' || m.recipient_id IN (SELECT value FROM accepted WHERE parameter = 'recipient')
)
EXCEPT
SELECT unnest(f.ids)
FROM canvas_ops.fingerprint AS f
JOIN accepted AS a ON a.parameter = f.parameter AND a.value = f.value
EXCEPT
SELECT message_id
FROM canvas_ops.quarantine
WHERE _last_run_id = $1 AND resolved_at IS NULL
ORDER BY 1;

-- name: find_hiding
-- Accepted searches of run $1 that hide something: a live message of theirs was shown by no search but the one by its id,
-- and did not change. What this run changed may have been theirs before; what is open in quarantine was shown, but is not
-- a row.
WITH accepted AS (
    SELECT id, parameter, value, entries
    FROM canvas_ops.search
    WHERE run_id = $1 AND resource = 'Communication' AND status = 'accepted'
),
shown_by_id_alone AS (
    SELECT value AS id
    FROM accepted
    WHERE parameter = '_id' AND entries > 0
    EXCEPT
    SELECT unnest(f.ids)
    FROM canvas_ops.fingerprint AS f
    JOIN accepted AS a ON a.parameter = f.parameter AND a.value = f.value
    WHERE a.parameter <> '_id'
),
hidden AS (
    SELECT m.sender_type || '/' || m.sender_id AS sender, m.recipient_type || '/' || m.recipient_id AS recipient
    FROM canvas.message AS m
    JOIN shown_by_id_alone AS s ON s.id = m.id
    WHERE m._deleted_at IS NULL
      AND m._run_id <> $1
      AND NOT EXISTS (SELECT FROM canvas_ops.quarantine AS q WHERE q.message_id = m.id AND q.resolved_at IS NULL)
)
SELECT id
FROM accepted
WHERE (parameter = 'sender' AND value IN (SELECT sender FROM hidden))
   OR (parameter = 'recipient' AND value IN (SELECT recipient FROM hidden))
ORDER BY id;

-- name: find_gone
-- Which of the live messages $2 run $1 asked for by id and was told that they are not there. The run may also have asked
-- by id for what a verification wanted; such messages may have been shown by another search all the same.
SELECT m.id
FROM canvas.message AS m
JOIN canvas_ops.search AS s ON s.value = m.id
WHERE s.run_id = $1 AND s.parameter = '_id' AND s.status = 'accepted' AND s.entries = 0
  AND m._deleted_at IS NULL
  AND m.id = ANY ($2::text[]);

-- name: pick_shown
-- A few messages that run $1 was shown, of different searches first. The source must know one of them by id, or its answer
-- about missing ones is worth nothing. Several, since one may have been deleted meanwhile.
SELECT shown.id
FROM canvas_ops.fingerprint AS f
JOIN canvas_ops.search AS s ON s.parameter = f.parameter AND s.value = f.value
CROSS JOIN LATERAL unnest(f.ids[1:3]) WITH ORDINALITY AS shown (id, place)
WHERE s.run_id = $1 AND s.status = 'accepted' AND s.parameter <> '_id'
ORDER BY shown.place, f.parameter, f.value
LIMIT 3;

-- name: pick_patients
-- A few patients of whom run $1 was shown messages, and not of $2. The source must list one of them, or its answer about
-- others is worth nothing.
SELECT DISTINCT m.patient_id
FROM (
    SELECT shown.id
    FROM canvas_ops.fingerprint AS f
    JOIN canvas_ops.search AS s ON s.parameter = f.parameter AND s.value = f.value
    CROSS JOIN LATERAL unnest(f.ids[1:3]) AS shown (id)
    WHERE s.run_id = $1 AND s.status = 'accepted' AND s.parameter <> '_id'
    LIMIT 100
) AS shown
JOIN canvas.message AS m ON m.id = shown.id
WHERE m.patient_id IS NOT NULL AND m._deleted_at IS NULL AND m.patient_id <> ALL ($2::text[])
ORDER BY 1
LIMIT 3;

-- name: read_gone
-- Whose these live messages ($1) are, which are gone at the source, and how many messages their patient and their
-- practitioner have left. Sets are joined, as in missing/find.
WITH
    gone AS (SELECT id, patient_id, practitioner_id FROM canvas.message WHERE id = ANY ($1::text[]) AND _deleted_at IS NULL),
    lefts AS (
        SELECT m.patient_id, m.practitioner_id
        FROM canvas.message AS m
        LEFT JOIN gone AS g ON g.id = m.id
        WHERE m._deleted_at IS NULL AND g.id IS NULL
    ),
    of_patient AS (SELECT patient_id AS id, count(*) AS messages FROM lefts GROUP BY 1),
    of_practitioner AS (SELECT practitioner_id AS id, count(*) AS messages FROM lefts GROUP BY 1)
SELECT
    g.id,
    g.patient_id,
    g.practitioner_id,
    coalesce(p.messages, 0) AS patient_left,
    coalesce(d.messages, 0) AS practitioner_left
FROM gone AS g
LEFT JOIN of_patient AS p ON p.id = g.patient_id
LEFT JOIN of_practitioner AS d ON d.id = g.practitioner_id
ORDER BY g.id;

-- name: count_live
-- How many messages the source has, as far as the mirror knows.
SELECT count(*) FROM canvas.message WHERE _deleted_at IS NULL;

-- name: release
-- Forgets what was held: the run decides again.
DELETE FROM canvas_ops.held;

-- name: hold
-- Notes what run $1 holds ($2). Run after missing/release.
INSERT INTO canvas_ops.held (id, _run_id) SELECT h.id, $1::bigint FROM unnest($2::text[]) AS h (id);

-- name: keep_history
-- Copies the live versions of what run $1 found gone ($2) into canvas.message_history.
INSERT INTO canvas.message_history
SELECT h.*
FROM canvas.message AS m
JOIN canvas_ops.search AS s ON s.value = m.id
CROSS JOIN LATERAL (
    SELECT
        m.*,
        m._changed_at AS _known_from,
        greatest((SELECT canvas_ops.time_of_run($1)), m._changed_at + interval '1 microsecond') AS _known_to
) AS past
CROSS JOIN LATERAL json_populate_record(NULL::canvas.message_history, row_to_json(past)) AS h
WHERE s.run_id = $1 AND s.parameter = '_id' AND s.status = 'accepted' AND s.entries = 0 AND m._deleted_at IS NULL
  AND m.id = ANY ($2::text[]);

-- name: tombstone
-- Marks as deleted what run $1 found gone ($2). Nothing is erased: a deletion at the source is no request to forget.
UPDATE canvas.message AS m
SET
    _deleted_at = (SELECT canvas_ops.time_of_run($1)),
    _changed_at = greatest((SELECT canvas_ops.time_of_run($1)), m._changed_at + interval '1 microsecond'),
    _run_id = $1
FROM canvas_ops.search AS s
WHERE s.value = m.id
  AND s.run_id = $1 AND s.parameter = '_id' AND s.status = 'accepted' AND s.entries = 0
  AND m._deleted_at IS NULL
  AND m.id = ANY ($2::text[]);
