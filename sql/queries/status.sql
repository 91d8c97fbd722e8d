-- What people and monitoring are told about runs and tables.

-- name: freshness
-- The one row of canvas.freshness.
SELECT
    last_complete_run_id, last_complete_at, as_of, age, last_verified_as_of, messages, messages_deleted, quarantined, settled_at,
    last_replayed_at
FROM canvas.freshness;

-- name: last_runs
-- The last $1 runs, the newest first, or just run $2. Of an open run: what its searches add up to so far.
SELECT
    r.id AS run_id,
    r.job,
    r.scope,
    r.outcome,
    r.reason,
    r.started_at,
    r.closed_at,
    round(extract(epoch FROM coalesce(r.closed_at, clock_timestamp()) - r.started_at), 1)::float8 AS seconds,
    r.as_of,
    coalesce(r.searches, s.searches)          AS searches,
    coalesce(r.searches, s.done)              AS searches_done,
    coalesce(r.searches_accepted, s.accepted) AS searches_accepted,
    coalesce(r.entries, s.entries)            AS entries,
    coalesce(r.new, s.new)          AS new,
    coalesce(r.changed, s.changed)            AS changed,
    CASE
        WHEN r.closed_at IS NULL THEN greatest(0, s.entries - s.new - s.changed - s.outside - s.quarantined)
        ELSE greatest(0, r.entries - r.new - r.changed - coalesce(r.outside, 0) - r.quarantined)
    END                                       AS unchanged,
    coalesce(r.unseen, s.unseen)              AS unseen,
    coalesce(r.outside, s.outside)            AS outside,
    coalesce(r.quarantined, s.quarantined)    AS quarantined,
    r.deleted,
    r.held,
    r.requests
FROM canvas_ops.run AS r
LEFT JOIN LATERAL (
    SELECT
        count(*)                                                         AS searches,
        count(*) FILTER (WHERE status IN ('accepted', 'not_accepted'))   AS done,
        count(*) FILTER (WHERE status = 'accepted')                      AS accepted,
        -- What a search was served is known at its end; until then, at least what it landed.
        coalesce(
            sum(greatest(entries, new + changed + quarantined)) FILTER (WHERE resource = 'Communication'), 0
        )::bigint                                                        AS entries,
        coalesce(sum(new), 0)::bigint                               AS new,
        coalesce(sum(changed), 0)::bigint                                AS changed,
        coalesce(sum(outside), 0)::bigint                                AS outside,
        coalesce(sum(unseen), 0)::bigint                                 AS unseen,
        coalesce(sum(quarantined), 0)::bigint                            AS quarantined
    FROM canvas_ops.search
    WHERE run_id = r.id AND r.closed_at IS NULL
) AS s ON r.closed_at IS NULL
WHERE $2::bigint IS NULL OR r.id = $2
ORDER BY r.id DESC
LIMIT $1;

-- name: held_last
-- The open run that a process began or resumed last. No row if none is open.
SELECT id FROM canvas_ops.run WHERE closed_at IS NULL ORDER BY held_since DESC LIMIT 1;

-- name: last_of_its_kind
-- How many entries the last complete run of the same job and selection as run $1 was served, and how long it took.
SELECT last.entries, extract(epoch FROM last.closed_at - last.started_at)::float8 AS seconds
FROM canvas_ops.run AS this
JOIN canvas_ops.run AS last ON last.job = this.job AND last.selection_key = this.selection_key AND last.id < this.id
WHERE this.id = $1 AND last.outcome = 'complete'
ORDER BY last.id DESC
LIMIT 1;

-- name: last_begun
-- How long ago the newest full sync began or was resumed, and whether one is abandoned: it is open, and nobody holds the
-- run lock, whose key is $1. An abandoned one does not count for the first. After the server's clock was put back,
-- held_since may lie in the future.
WITH sync AS (
    SELECT
        id,
        clock_timestamp() - CASE WHEN held_since <= clock_timestamp() THEN held_since ELSE started_at END AS age,
        closed_at IS NULL AND NOT EXISTS (
            SELECT
            FROM pg_locks AS l
            WHERE l.locktype = 'advisory'
              AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
              AND (l.classid::bigint << 32 | l.objid::bigint) = $1::bigint
              AND l.objsubid = 1
              AND l.granted
        ) AS is_abandoned
    FROM canvas_ops.run
    WHERE job = 'sync' AND scope = 'full'
)
SELECT
    (SELECT age FROM sync WHERE NOT is_abandoned ORDER BY id DESC LIMIT 1) AS age,
    EXISTS (SELECT FROM sync WHERE is_abandoned)                           AS is_abandoned;

-- name: in_vain
-- How many of the values $2 run $1 searched for in vain: every search was accepted, and none found an entry.
SELECT count(*)
FROM (
    SELECT value
    FROM canvas_ops.search
    WHERE run_id = $1 AND resource = 'Communication' AND value = ANY ($2::text[])
    GROUP BY value
    HAVING bool_and(status = 'accepted') AND coalesce(sum(entries), 0) = 0
) AS in_vain;

-- name: not_accepted
-- Why searches of the newest closed run that had any were not accepted, the most frequent reason first.
SELECT run_id, reason, count(*) AS searches
FROM canvas_ops.search
WHERE status = 'not_accepted'
  AND run_id = (SELECT max(id) FROM canvas_ops.run WHERE closed_at IS NOT NULL AND searches > 0)
GROUP BY run_id, reason
ORDER BY count(*) DESC, reason;

-- name: quarantine_reasons
-- What is open in quarantine, by reason, and how much of it an operator has accepted.
SELECT reason, count(*) AS entries, count(accepted_at) AS accepted, min(_first_seen_at) AS since
FROM canvas_ops.quarantine
WHERE resolved_at IS NULL
GROUP BY reason
ORDER BY count(*) DESC, reason;

-- name: count_held
-- How many messages are gone at the source and held.
SELECT count(*) FROM canvas_ops.held AS h JOIN canvas.message AS m ON m.id = h.id WHERE m._deleted_at IS NULL;

-- name: by_direction
-- A first look for people: how many messages there are each way, and from when to when.
SELECT
    direction,
    count(*)                                 AS messages,
    count(DISTINCT patient_id)               AS patients,
    count(DISTINCT practitioner_id)          AS practitioners,
    count(*) FILTER (WHERE body_format = 'html') AS html,
    min(sent_at)::date                       AS first_sent,
    max(sent_at)::date                       AS last_sent
FROM canvas.live_message
GROUP BY direction
ORDER BY direction;

-- name: sizes
-- The tables of both schemas and what they take on disk, indexes included; the largest first.
SELECT n.nspname || '.' || c.relname AS "table", pg_total_relation_size(c.oid) AS bytes
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname = ANY ($1::text[])
ORDER BY bytes DESC, 1;
