-- Runs: opened, resumed, summed up and closed; and the Canvas instance that the schema belongs to.

-- name: bind_source
-- The first run binds the schema to its Canvas instance ($1).
INSERT INTO canvas_ops.source (instance) VALUES ($1) ON CONFLICT (only_row) DO NOTHING;

-- name: read_source
-- The Canvas instance the schema is bound to; no row before the first run.
SELECT instance FROM canvas_ops.source;

-- name: read_open_runs
-- Runs that were never closed, the newest first. Asked while the run lock is held: they died.
SELECT id, job, selection, clock_timestamp() - started_at AS age
FROM canvas_ops.run
WHERE closed_at IS NULL
ORDER BY id DESC;

-- name: revoke_leases
-- Before a run begins or goes on: whoever held the run lock before has lost it, and with it every lease. A worker that
-- still believes in one finds its token gone and lands nothing.
UPDATE canvas_ops.search
SET status = 'pending', lease_token = NULL, leased_until = NULL
WHERE status = 'walking';

-- name: unplan_open_runs
-- Together with revoke_leases: whoever goes on with an open run plans it anew first, and so becomes the one who may close it.
UPDATE canvas_ops.run SET planned_at = NULL WHERE planned_at IS NOT NULL AND closed_at IS NULL;

-- name: open_run
-- A new run: job $1, scope $2, fingerprint of the selection $3, version $4. If such a run is open, that one: its beginning
-- had arrived, only its answer had not. Held since later than any run before, whatever the clock says.
INSERT INTO canvas_ops.run (job, scope, selection, version, held_since)
VALUES (
    $1, $2, $3, $4,
    greatest(
        clock_timestamp(),
        (SELECT max(greatest(closed_at, held_since)) + interval '1 microsecond' FROM canvas_ops.run)
    )
)
ON CONFLICT (job, selection) WHERE closed_at IS NULL DO UPDATE
SET scope = excluded.scope, version = excluded.version, held_since = excluded.held_since
RETURNING id;

-- name: take_up_run
-- Run $1 goes on, in another process: whoever had rows of it under way has lost its leases. Held since later than any run
-- before, whatever the clock says.
UPDATE canvas_ops.run
SET held_since = greatest(
    clock_timestamp(),
    (SELECT max(greatest(closed_at, held_since)) + interval '1 microsecond' FROM canvas_ops.run)
)
WHERE id = $1;

-- name: lock_run
-- Whether run $1 is open, when its work list was whole, and how many messages it marked as deleted. Locked, so that it
-- stays so until this transaction ends.
SELECT closed_at IS NULL AS is_open, planned_at, deleted FROM canvas_ops.run WHERE id = $1 FOR UPDATE;

-- name: read_requests
-- How many requests run $1 has made so far, in the processes that worked on it before.
SELECT requests FROM canvas_ops.run WHERE id = $1;

-- name: note_requests
-- Run $1 has made $2 requests so far. One that was cut off, and says so late, does not count back.
UPDATE canvas_ops.run SET requests = greatest(requests, $2) WHERE id = $1;

-- name: sum_run
-- What the searches of run $1 come to. `flood`: entries that lie open, not accepted by anybody, of earlier runs that put more
-- than max($2, $3 of their entries) in quarantine. `not_listed`: searches that were refused for a practitioner who is not on
-- the roster any more; they count for nothing else.
SELECT
    count(*) FILTER (WHERE reason IS DISTINCT FROM 'not_listed')                 AS searches,
    count(*) FILTER (WHERE reason = 'not_listed')                                AS not_listed,
    count(*) FILTER (WHERE status = 'accepted')                                  AS accepted,
    count(*) FILTER (WHERE status IN ('pending', 'walking'))                     AS open,
    min(walk_started_at) FILTER (WHERE status = 'accepted')                      AS as_of,
    coalesce(sum(pages), 0)::bigint                                              AS pages,
    coalesce(sum(entries) FILTER (WHERE resource = 'Communication'), 0)::bigint  AS entries,
    coalesce(sum(inserted), 0)::bigint                                           AS inserted,
    coalesce(sum(updated), 0)::bigint                                            AS updated,
    coalesce(sum(quarantined), 0)::bigint                                        AS quarantined,
    coalesce(sum(outside), 0)::bigint                                            AS outside,
    coalesce(sum(unseen), 0)::bigint                                             AS unseen,
    (
        SELECT coalesce(sum(flood.entries), 0)
        FROM (
            SELECT count(*) AS entries
            FROM canvas_ops.quarantine AS q
            JOIN canvas_ops.run AS r ON r.id = q._run_id
            WHERE q.resolved_at IS NULL AND q.accepted_at IS NULL AND q._run_id <> $1
            GROUP BY r.id
            HAVING count(*) > greatest($2::integer, $3::float8 * coalesce(r.entries, 0))
        ) AS flood
    )::bigint                                                                    AS flood
FROM canvas_ops.search
WHERE run_id = $1;

-- name: count_reasons
-- Why searches of run $1 were not accepted, the commonest first.
SELECT reason, count(*) AS searches
FROM canvas_ops.search
WHERE run_id = $1 AND status = 'not_accepted' AND reason <> 'not_listed'
GROUP BY reason
ORDER BY count(*) DESC, reason;

-- name: close_run
-- Closes run $1 with outcome $2, the sums $3–$9, $12 and $15 of its searches, its requests $13, how many messages it marked as deleted ($10)
-- and how many it held ($14), and why it was not complete beside what its searches say ($11).
-- A run that is closed stays as it is.
UPDATE canvas_ops.run
SET outcome = $2, as_of = $3, searches = $4, searches_accepted = $5, entries = $6, inserted = $7, updated = $8,
    quarantined = $9, deleted = $10, reason = $11, outside = $12, requests = greatest(requests, $13), held = $14, unseen = $15,
    closed_at = greatest(clock_timestamp(), held_since, (SELECT max(_changed_at) FROM canvas.message))
WHERE id = $1 AND closed_at IS NULL;
