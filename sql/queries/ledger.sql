-- Runs: opened, resumed, summed up and closed; and the Canvas instance that the schema belongs to.

-- name: bind_source
-- Binds the schema to a Canvas instance ($1), in its first run.
INSERT INTO canvas_ops.source (instance) VALUES ($1) ON CONFLICT (only_row) DO NOTHING;

-- name: read_source
-- The Canvas instance that the schema is bound to. No row before the first run.
SELECT instance FROM canvas_ops.source;

-- name: read_open_runs
-- Runs that were never closed, the newest first. They are abandoned, because this is asked while holding the run lock.
SELECT id, job, selection_key, clock_timestamp() - started_at AS age
FROM canvas_ops.run
WHERE closed_at IS NULL
ORDER BY id DESC;

-- name: revoke_leases
-- Takes every lease away, before a run begins or is resumed: whoever held the run lock before has lost it. A worker that
-- still believes in a lease finds its token gone and lands nothing.
UPDATE canvas_ops.search
SET status = 'pending', lease_token = NULL, leased_until = NULL
WHERE status = 'walking';

-- name: unplan_open_runs
-- Goes with revoke_leases: whoever resumes an open run plans it again first, and so becomes the one who may close it.
UPDATE canvas_ops.run SET planned_at = NULL WHERE planned_at IS NOT NULL AND closed_at IS NULL;

-- name: open_run
-- Begins a run: job $1, scope $2, key of the selection $3, version $4. If such a run is open, returns that one: it was
-- begun already, only the answer was lost. Its held_since is later than that of any run before, whatever the clock says.
INSERT INTO canvas_ops.run (job, scope, selection_key, version, held_since)
VALUES (
    $1, $2, $3, $4,
    greatest(
        clock_timestamp(),
        (SELECT max(greatest(closed_at, held_since)) + interval '1 microsecond' FROM canvas_ops.run)
    )
)
ON CONFLICT (job, selection_key) WHERE closed_at IS NULL DO UPDATE
SET scope = excluded.scope, version = excluded.version, held_since = excluded.held_since
RETURNING id;

-- name: resume_run
-- Run $1 goes on in another process. Whatever the process before had under way is lost with its leases. Its held_since
-- becomes later than that of any run before, whatever the clock says.
UPDATE canvas_ops.run
SET held_since = greatest(
    clock_timestamp(),
    (SELECT max(greatest(closed_at, held_since)) + interval '1 microsecond' FROM canvas_ops.run)
)
WHERE id = $1;

-- name: lock_run
-- Whether run $1 is open, when its work list was whole, and how many messages it marked as deleted. The row is locked, so
-- that this stays so until the transaction ends.
SELECT closed_at IS NULL AS is_open, planned_at, deleted FROM canvas_ops.run WHERE id = $1 FOR UPDATE;

-- name: read_requests
-- How many requests run $1 has made so far, in all processes that worked on it.
SELECT requests FROM canvas_ops.run WHERE id = $1;

-- name: note_requests
-- Notes that run $1 has made $2 requests so far. A late note of an earlier process never lowers the number.
UPDATE canvas_ops.run SET requests = greatest(requests, $2) WHERE id = $1;

-- name: sum_run
-- What the searches of run $1 add up to. `flood` counts the open entries that nobody accepted of those earlier runs that
-- put more than max($2, $3 of their entries) in quarantine. `not_listed` counts searches that were refused for a
-- practitioner who is no longer on the roster; they count for nothing else.
SELECT
    count(*) FILTER (WHERE reason IS DISTINCT FROM 'not_listed')                 AS searches,
    count(*) FILTER (WHERE reason = 'not_listed')                                AS not_listed,
    count(*) FILTER (WHERE status = 'accepted')                                  AS accepted,
    count(*) FILTER (WHERE status IN ('pending', 'walking'))                     AS open,
    min(walk_started_at) FILTER (WHERE status = 'accepted')                      AS as_of,
    coalesce(sum(pages), 0)::bigint                                              AS pages,
    coalesce(sum(entries) FILTER (WHERE resource = 'Communication'), 0)::bigint  AS entries,
    coalesce(sum(new), 0)::bigint                                           AS new,
    coalesce(sum(changed), 0)::bigint                                            AS changed,
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
-- Why searches of run $1 were not accepted, the most frequent reason first.
SELECT reason, count(*) AS searches
FROM canvas_ops.search
WHERE run_id = $1 AND status = 'not_accepted' AND reason <> 'not_listed'
GROUP BY reason
ORDER BY count(*) DESC, reason;

-- name: close_run
-- Closes run $1: outcome $2; as_of $3 and the sums $4-$9, $12 and $15 of its searches; messages marked as deleted $10 and
-- held $14; why it was not complete, beside what its searches say, $11; requests $13. A closed run stays as it is.
UPDATE canvas_ops.run
SET outcome = $2, as_of = $3, searches = $4, searches_accepted = $5, entries = $6, new = $7, changed = $8,
    quarantined = $9, deleted = $10, reason = $11, outside = $12, requests = greatest(requests, $13), held = $14, unseen = $15,
    closed_at = greatest(clock_timestamp(), held_since, (SELECT max(_changed_at) FROM canvas.message))
WHERE id = $1 AND closed_at IS NULL;
