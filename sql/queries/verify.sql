-- What a verification was shown by the patients' searches, and how that differs from the mirror.

-- name: sight_usable
-- Notes what the staged messages, which search $3 showed, are to the mirror, for pass $2 of verification $1. A partial
-- version of a message that the mirror holds whole cannot be its row: it should be in quarantine.
INSERT INTO canvas_ops.sighting (
    run_id, pass, search, key, message_id, content_hash, practitioner_id, sent_at, row_differs
)
SELECT
    $1, $2, $3, i.id, i.id, CASE WHEN is_quarantined THEN NULL ELSE i._content_hash END, i.practitioner_id, i.sent_at,
    CASE
        WHEN is_quarantined THEN NOT EXISTS (
            SELECT FROM canvas_ops.quarantine AS q
            WHERE q.message_id = i.id AND q.reason = 'partial' AND q.resolved_at IS NULL
        )
        ELSE m.id IS NOT NULL
        AND m._content_hash = i._content_hash
        AND m._rules_version = i._rules_version
        AND (
            m._quality <> i._quality
            OR canvas_ops.fields_of(row_to_json(m)) IS DISTINCT FROM canvas_ops.fields_of(row_to_json(i))
        )
    END
FROM pg_temp.incoming AS i
LEFT JOIN canvas.message AS m ON m.id = i.id
CROSS JOIN LATERAL (
    SELECT m.id IS NOT NULL
        AND m._deleted_at IS NULL AND 'partial' = ANY (i._quality) AND 'partial' <> ALL (m._quality) AS is_quarantined
) AS partial
ON CONFLICT (run_id, pass, key, search) DO NOTHING;

-- name: sight_rejected
-- Notes the unusable entries that search $3 showed, for pass $2 of verification $1: keys $4, message ids $5, raw hashes
-- $6. They should lie open in quarantine.
INSERT INTO canvas_ops.sighting (run_id, pass, search, key, message_id, row_differs)
SELECT
    $1::bigint, $2::smallint, $3::integer, r.key, r.message_id,
    NOT EXISTS (SELECT FROM canvas_ops.quarantine AS q WHERE q.raw_hash = r.raw_hash AND q.resolved_at IS NULL)
FROM unnest($4::text[], $5::text[], $6::bytea[]) AS r (key, message_id, raw_hash)
ON CONFLICT (run_id, pass, key, search) DO NOTHING;

-- name: forget
-- Forgets what search $3 showed in pass $2 of verification $1: its walk was not accepted.
DELETE FROM canvas_ops.sighting WHERE run_id = $1 AND pass = $2 AND search = $3;

-- name: clear
-- Forgets what earlier verifications saw, and what this one ($1) saw before its last pass but one ($2).
DELETE FROM canvas_ops.sighting WHERE run_id <> $1 OR pass < $2;

-- name: agree
-- Whether passes $2 and $3 of verification $1 saw the same.
WITH
    one AS (SELECT key, content_hash FROM canvas_ops.sighting WHERE run_id = $1 AND pass = $2),
    other AS (SELECT key, content_hash FROM canvas_ops.sighting WHERE run_id = $1 AND pass = $3)
SELECT NOT EXISTS (
    (SELECT * FROM one EXCEPT SELECT * FROM other)
    UNION ALL
    (SELECT * FROM other EXCEPT SELECT * FROM one)
);

-- name: count
-- How many entries pass $2 of verification $1 saw: summed over its searches, to compare with their totals, and distinct.
SELECT count(*) AS sightings, count(DISTINCT key) AS entries FROM canvas_ops.sighting WHERE run_id = $1 AND pass = $2;

-- name: differences
-- The next $4 differences between pass $2 of verification $1 and the mirror, after the key $3, each with the hash that the
-- mirror holds, and whether an accepted walk of the sync $5 (null: of none) was shown just that.
WITH
    seen AS (
        SELECT DISTINCT ON (key) *
        FROM canvas_ops.sighting
        WHERE run_id = $1 AND pass = $2 AND key > $3
        ORDER BY key, search
    ),
    live AS (SELECT id, _content_hash, sent_at FROM canvas.message WHERE _deleted_at IS NULL AND id > $3),
    differing AS (
        SELECT
            coalesce(seen.key, live.id)            AS key,
            coalesce(seen.message_id, live.id)     AS message_id,
            CASE
                WHEN seen.key IS NULL THEN 'extra'
                WHEN seen.content_hash IS NULL THEN 'unaccounted'
                WHEN live.id IS NULL THEN 'missing'
                WHEN live._content_hash <> seen.content_hash THEN 'stale'
                ELSE 'altered'
            END                                    AS kind,
            live._content_hash                     AS mirror_hash,
            seen.practitioner_id,
            coalesce(seen.sent_at, live.sent_at)   AS sent_at
        FROM seen
        FULL JOIN live ON live.id = seen.key
        WHERE seen.key IS NULL
           OR (seen.content_hash IS NULL AND seen.row_differs)
           OR (
               seen.content_hash IS NOT NULL
               AND (live.id IS NULL OR live._content_hash <> seen.content_hash OR seen.row_differs)
               -- What the warehouse itself refuses is accounted for in quarantine.
               AND NOT EXISTS (
                   SELECT
                   FROM canvas_ops.quarantine AS q
                   WHERE q.message_id = seen.message_id AND q.reason = 'refused_by_warehouse' AND q.resolved_at IS NULL
               )
           )
        ORDER BY 1
        LIMIT $4
    ),
    -- What accepted walks of that sync were shown of just these ids. An unchanged fingerprint is what it saw, too.
    shown AS (
        SELECT walked.id, walked.content_hash
        FROM canvas_ops.fingerprint AS f
        JOIN canvas_ops.search AS s ON s.parameter = f.parameter AND s.value = f.value
        CROSS JOIN LATERAL unnest(f.ids, f.content_hashes) AS walked (id, content_hash)
        WHERE s.run_id = $5 AND s.resource = 'Communication' AND s.status = 'accepted'
          AND walked.id IN (SELECT message_id FROM differing)
    )
SELECT
    d.*,
    coalesce((d.message_id, d.mirror_hash) IN (SELECT id, content_hash FROM shown), false) AS as_last_shown,
    d.mirror_hash IS NOT NULL AND d.message_id IN (SELECT id FROM canvas_ops.held) AS held
FROM differing AS d
ORDER BY d.key;

-- name: pick_shown
-- A few messages that pass $2 of verification $1 showed just as the mirror holds them. The source must know one of them by
-- id, too, or its answer about others is worth nothing. Several, since one may have been deleted meanwhile.
SELECT s.message_id
FROM canvas_ops.sighting AS s
JOIN canvas.message AS m ON m.id = s.message_id AND m._content_hash = s.content_hash AND m._deleted_at IS NULL
WHERE s.run_id = $1 AND s.pass = $2
ORDER BY s.key
LIMIT 3;

-- name: want
-- Notes messages that verification $2 found missing, or of another version ($1), for the next sync to ask for.
INSERT INTO canvas_ops.wanted (id, _run_id)
SELECT w.id, $2::bigint FROM unnest($1::text[]) AS w (id)
ON CONFLICT (id) DO NOTHING;

-- name: remember_altered
-- Notes messages whose rows verification $2 found altered ($1), for the next replay to write again.
INSERT INTO canvas_ops.altered (id, _run_id)
SELECT a.id, $2::bigint FROM unnest($1::text[]) AS a (id)
ON CONFLICT (id) DO NOTHING;

-- name: read_wanted
-- Messages that earlier verifications found missing, or of another version.
SELECT id FROM canvas_ops.wanted ORDER BY id;

-- name: settle_wanted
-- Forgets the wanted messages that run $1 asked for by id and got an answer about.
DELETE FROM canvas_ops.wanted AS w
USING canvas_ops.search AS s
WHERE s.run_id = $1 AND s.parameter = '_id' AND s.value = w.id AND s.status = 'accepted';

-- name: known_patients
-- Patients discovered in messages. They are searched for even if the Patient search does not list them.
SELECT DISTINCT patient_id FROM canvas.message WHERE patient_id IS NOT NULL AND _deleted_at IS NULL ORDER BY patient_id;
