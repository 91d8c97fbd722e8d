-- The searches of a run: planned, claimed with a lease, walked and finished.

-- name: plan_searches
-- The work list of run $1: parameters $2 and values $3, in the order they are to be claimed.
INSERT INTO canvas_ops.search (run_id, resource, parameter, value, place)
SELECT $1::bigint, 'Communication', planned.parameter, planned.value, planned.place
FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS planned (parameter, value, place)
ON CONFLICT (run_id, resource, parameter, value) DO NOTHING;

-- name: mark_planned
-- The work list of run $1 is whole. Whoever knows this instant may close the run.
UPDATE canvas_ops.run SET planned_at = clock_timestamp() WHERE id = $1 RETURNING planned_at;

-- name: read_planned
-- What run $1 has on its work list, done or not.
SELECT parameter, value FROM canvas_ops.search WHERE run_id = $1 AND resource = 'Communication';

-- name: add_searches
-- Messages to be asked for one by one in run $1: ids $2, after everything else.
INSERT INTO canvas_ops.search (run_id, resource, parameter, value, place)
SELECT $1::bigint, 'Communication', '_id', asked.id, 2147483647
FROM unnest($2::text[]) AS asked (id)
ON CONFLICT (run_id, resource, parameter, value) DO NOTHING;

-- name: save_roster_search
-- A roster search of run $1, done: resource $2, parameter $3 = $4, status $5, reason $6, walks $7, start $8,
-- total $9, pages $10, entries $11. A run that is planned anew walks its roster anew.
INSERT INTO canvas_ops.search (
    run_id, resource, parameter, value, place, status, reason, lease_token, walks, walk_started_at, finished_at, total, pages, entries
)
VALUES ($1, $2, $3, $4, 0, $5, $6, NULL, $7, $8, clock_timestamp(), $9, $10, $11)
ON CONFLICT (run_id, resource, parameter, value) DO UPDATE
SET status = excluded.status, reason = excluded.reason, walks = excluded.walks, walk_started_at = excluded.walk_started_at,
    finished_at = excluded.finished_at, total = excluded.total, pages = excluded.pages, entries = excluded.entries;

-- name: claim_search
-- Claims the next search of run $1 with the token $2 for the time $3. No row: nothing left to claim.
-- If this token holds one already, that one: the claim had arrived, only its answer had not. Nothing either, once another
-- run has begun that revoked the leases of this one.
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

-- name: is_claimable
-- Whether run $1 has a search that is not claimed, or is just being claimed.
SELECT EXISTS (
    SELECT
    FROM canvas_ops.search
    WHERE run_id = $1
      AND (status = 'pending' OR (status = 'walking' AND leased_until < clock_timestamp()))
      AND EXISTS (SELECT FROM canvas_ops.run AS r WHERE r.id = $1 AND r.planned_at IS NOT NULL AND r.closed_at IS NULL)
);

-- name: wait_for_claim
-- Waits until whoever is claiming the next search of run $1 has it, or has let go of it.
SELECT id
FROM canvas_ops.search
WHERE run_id = $1
  AND (status = 'pending' OR (status = 'walking' AND leased_until < clock_timestamp()))
  AND EXISTS (SELECT FROM canvas_ops.run AS r WHERE r.id = $1 AND r.planned_at IS NOT NULL AND r.closed_at IS NULL)
ORDER BY place, id
LIMIT 1
FOR UPDATE;

-- name: begin_walk
-- Search $1, held with token $2, is walked from its first page; the lease lasts for another $3. Returns how
-- many batches were landed so far; no row: the lease was lost.
UPDATE canvas_ops.search
SET walks = walks + 1, walk_started_at = clock_timestamp(), leased_until = clock_timestamp() + $3::interval
WHERE id = $1 AND lease_token = $2 AND status = 'walking'
RETURNING landings;

-- name: renew_leases
-- Whatever of run $1 is still walked with one of the tokens $2 is held for another $3. What is just being landed is passed
-- over: landing renews its lease itself, and the others' must not wait for it.
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
-- How many batches of search $1 were landed; no row if it is not ours by token $2 any more. Locked, so that it stays so until
-- this transaction ends.
SELECT landings FROM canvas_ops.search WHERE id = $1 AND lease_token = $2 FOR UPDATE;

-- name: add_landed
-- A batch of search $1 landed: new $2, changed $3, newly in quarantine $4; the lease lasts for another $5. Of $6 that
-- changed no column that an analyst sees did.
UPDATE canvas_ops.search
SET inserted = inserted + $2, updated = updated + $3, quarantined = quarantined + $4, unseen = unseen + $6,
    landings = landings + 1, leased_until = clock_timestamp() + $5::interval
WHERE id = $1;

-- name: finish_search
-- Search $1 is done: status $2, reason $3, and of its last walk total $4, pages $5, entries $6, outside $7.
UPDATE canvas_ops.search
SET status = $2, reason = $3, total = $4, pages = $5, entries = $6, outside = $7, finished_at = clock_timestamp(), leased_until = NULL
WHERE id = $1;

-- name: let_go
-- Search $1, if it is held still with token $2, is to be walked anew by whoever claims it.
UPDATE canvas_ops.search
SET status = 'pending', lease_token = NULL, leased_until = NULL
WHERE id = $1 AND lease_token = $2 AND status = 'walking';

-- name: release_searches
-- Before a died run goes on: what was being walked is to be walked again. A worker that still holds one of these leases
-- finds its token gone and lands nothing.
UPDATE canvas_ops.search
SET status = 'pending', lease_token = NULL, leased_until = NULL
WHERE run_id = $1 AND status = 'walking';

-- name: retry_searches
-- Before a died run goes on: what had not been accepted gets its walks again, and what had been gone is asked for again: it
-- may be back, and is marked as deleted only when the run closes. What was begun to be read more than $2 ago is read again
-- too: a backfill may go on years later, and is to hold what was sent meanwhile.
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
-- These searches ($1), whose walk was accepted, are to be walked once more.
UPDATE canvas_ops.search
SET status = 'pending', lease_token = NULL, leased_until = NULL, finished_at = NULL
WHERE id = ANY ($1::bigint[]) AND status = 'accepted';

-- name: take_back
-- These searches ($1), whose walk was accepted, are not, for the reason $2.
UPDATE canvas_ops.search SET status = 'not_accepted', reason = $2 WHERE id = ANY ($1::bigint[]) AND status = 'accepted';

-- name: give_up_searches
-- What of run $1 is not going to be walked any more, and why ($2).
UPDATE canvas_ops.search
SET status = 'not_accepted', reason = $2, finished_at = clock_timestamp(), leased_until = NULL
WHERE run_id = $1 AND status IN ('pending', 'walking');
