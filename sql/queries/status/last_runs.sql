-- The last $1 runs, the newest first.
SELECT
    id, job, scope, outcome, started_at, closed_at, as_of, searches, searches_accepted, entries, inserted, updated, quarantined,
    deleted, reason
FROM canvas_ops.run
ORDER BY id DESC
LIMIT $1
