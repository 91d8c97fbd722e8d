-- The searches of a run: planned, claimed with a lease, walked, finished.

-- name: plan_searches
-- Writes the work list of run $1: parameters $2 and values $3, in the order in which they are to be claimed.
INSERT INTO canvas_ops.search (run_id, resource, parameter, value, place)
SELECT $1::bigint, 'Communication', planned.parameter, planned.value, planned.place
FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS planned (parameter, value, place)
ON CONFLICT (run_id, resource, parameter, value) DO NOTHING;

-- name: mark_planned
-- Notes that the work list of run $1 is whole. Whoever knows the returned instant may close the run.
UPDATE canvas_ops.run SET planned_at = clock_timestamp() WHERE id = $1 RETURNING planned_at;

-- name: read_planned
-- What is on the work list of run $1, done or not.
SELECT parameter, value FROM canvas_ops.search WHERE run_id = $1 AND resource = 'Communication';

-- name: add_searches
-- Adds messages ($2) to the work list of run $1, to be asked for by id, after everything else.
INSERT INTO canvas_ops.search (run_id, resource, parameter, value, place)
SELECT $1::bigint, 'Communication', '_id', asked.id, 2147483647
FROM unnest($2::text[]) AS asked (id)
ON CONFLICT (run_id, resource, parameter, value) DO NOTHING;

-- name: save_roster_search
-- Notes a finished roster search of run $1: resource $2, parameter $3 = $4, reason $5 (null if it was accepted), walks $6,
-- start $7, total $8, pages $9, entries $10. A run that is planned again walks its roster again.
INSERT INTO canvas_ops.search (
    run_id, resource, parameter, value, place, status, reason, lease_token, walks, walk_started_at, finished_at, total, pages, entries
)
VALUES (
    $1, $2, $3, $4, 0, CASE WHEN $5::text IS NULL THEN 'accepted' ELSE 'not_accepted' END, $5, NULL, $6, $7, clock_timestamp(), $8, $9, $10
)
ON CONFLICT (run_id, resource, parameter, value) DO UPDATE
SET status = excluded.status, reason = excluded.reason, walks = excluded.walks, walk_started_at = excluded.walk_started_at,
    finished_at = excluded.finished_at, total = excluded.total, pages = excluded.pages, entries = excluded.entries;

-- name: claim_search
-- Claims the next search of run $1 with the token $2 for the time $3. If this token holds one already, returns that: it
-- was claimed, only the answer was lost. No row: nothing is left to claim, or another run has begun and revoked the
-- leases of this one.
UPDATE canvas_ops.search
SET status = 'walking', lease_token = $2, leased_until = clock_timestamp() + $3::interval
WHERE id = coalesce(
    (
        SELECT id
        FROM canvas_ops.search
        WHERE run_id = $1 AND status = 'walking' AND lease_token = $2
    ),
    (
        SELECT id
        FROM canvas_ops.search
        WHERE run_id = $1
          AND (status = 'pending' OR (status = 'walking' AND leased_until < clock_timestamp()))
          AND EXISTS (SELECT FROM canvas_ops.run AS r WHERE r.id = $1 AND r.planned_at IS NOT NULL AND r.closed_at IS NULL)
        ORDER BY place, id
        LIMIT 1
        FOR UPDATE SKIP LOCKED
    )
)
RETURNING id, parameter, value;

-- name: wait_for_claim
-- The next search of run $1 that can be claimed, after waiting until nobody is claiming it. No row: there is none left.
SELECT id
FROM canvas_ops.search
WHERE run_id = $1
  AND (status = 'pending' OR (status = 'walking' AND leased_until < clock_timestamp()))
  AND EXISTS (SELECT FROM canvas_ops.run AS r WHERE r.id = $1 AND r.planned_at IS NOT NULL AND r.closed_at IS NULL)
ORDER BY place, id
LIMIT 1
FOR UPDATE;

-- name: begin_walk
-- Notes that search $1, held with token $2, is walked from its first page, and extends its lease by $3. Returns how many
-- batches were landed so far. No row: the lease was lost.
UPDATE canvas_ops.search
SET walks = walks + 1, walk_started_at = clock_timestamp(), leased_until = clock_timestamp() + $3::interval
WHERE id = $1 AND lease_token = $2 AND status = 'walking'
RETURNING landings;

-- name: renew_leases
-- Extends the leases of those searches of run $1 that are still walked with one of the tokens $2, by $3. A search that is
-- just being landed is skipped: landing renews its lease itself, and the other leases must not wait for it.
UPDATE canvas_ops.search
SET leased_until = clock_timestamp() + $3::interval
WHERE id IN (
    SELECT id
    FROM canvas_ops.search
    WHERE run_id = $1 AND status = 'walking' AND lease_token = ANY ($2::uuid[])
    ORDER BY id
    FOR UPDATE SKIP LOCKED
);

-- name: check_lease
-- How many batches of search $1 were landed. No row if token $2 does not hold it any more. The row is locked, so that this
-- stays so until the transaction ends.
SELECT landings FROM canvas_ops.search WHERE id = $1 AND lease_token = $2 FOR UPDATE;

-- name: add_landed
-- Notes that a batch of search $1 landed: new $2, changed $3 (of those unseen $6), newly in quarantine $4; and extends the
-- lease by $5.
UPDATE canvas_ops.search
SET new = new + $2, changed = changed + $3, quarantined = quarantined + $4, unseen = unseen + $6,
    landings = landings + 1, leased_until = clock_timestamp() + $5::interval
WHERE id = $1;

-- name: finish_search
-- Finishes search $1: status $2, reason $3, and of its last walk total $4, pages $5, entries $6, outside the window $7.
UPDATE canvas_ops.search
SET status = $2, reason = $3, total = $4, pages = $5, entries = $6, outside = $7, finished_at = clock_timestamp(), leased_until = NULL
WHERE id = $1;

-- name: release
-- Releases search $1, if token $2 still holds it: whoever claims it next walks it from its first page.
UPDATE canvas_ops.search
SET status = 'pending', lease_token = NULL, leased_until = NULL
WHERE id = $1 AND lease_token = $2 AND status = 'walking';

-- name: release_searches
-- Releases what of run $1 was being walked, before the abandoned run is resumed. A worker that still holds one of these
-- leases finds its token gone and lands nothing.
UPDATE canvas_ops.search
SET status = 'pending', lease_token = NULL, leased_until = NULL
WHERE run_id = $1 AND status = 'walking';

-- name: retry_searches
-- Puts back on the work list what an abandoned run $1 has to walk again when it is resumed: searches that were not
-- accepted; messages asked for by id that were gone, since they may be back and are marked as deleted only when the run
-- closes; and searches whose walk began more than $2 ago, since a backfill may be resumed years later.
UPDATE canvas_ops.search
SET status = 'pending', lease_token = NULL, leased_until = NULL, finished_at = NULL, reason = NULL
WHERE run_id = $1
  AND resource = 'Communication'
  AND (
      status = 'not_accepted'
      OR (status = 'accepted' AND parameter = '_id' AND entries = 0)
      OR (status = 'accepted' AND walk_started_at < clock_timestamp() - $2::interval)
  );

-- name: walk_again
-- Puts these accepted searches ($1) back on the work list.
UPDATE canvas_ops.search
SET status = 'pending', lease_token = NULL, leased_until = NULL, finished_at = NULL
WHERE id = ANY ($1::bigint[]) AND status = 'accepted';

-- name: take_back
-- Takes back that these searches ($1) were accepted, for the reason $2.
UPDATE canvas_ops.search SET status = 'not_accepted', reason = $2 WHERE id = ANY ($1::bigint[]) AND status = 'accepted';

-- name: give_up_searches
-- Gives up what is left on the work list of run $1, for the reason $2.
UPDATE canvas_ops.search
SET status = 'not_accepted', reason = $2, finished_at = clock_timestamp(), leased_until = NULL
WHERE run_id = $1 AND status IN ('pending', 'walking');
