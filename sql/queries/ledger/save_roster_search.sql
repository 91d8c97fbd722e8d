-- A roster search of run $1, done: resource $2, parameter $3 = $4, status $5, reason $6, walks $7, start $8,
-- total $9, pages $10, entries $11. A run that is planned anew walks its roster anew.
INSERT INTO canvas_ops.search (
    run_id, resource, parameter, value, place, status, reason, lease_token, walks, walk_started_at, finished_at, total, pages, entries
)
VALUES ($1, $2, $3, $4, 0, $5, $6, NULL, $7, $8, clock_timestamp(), $9, $10, $11)
ON CONFLICT (run_id, resource, parameter, value) DO UPDATE
SET status = excluded.status, reason = excluded.reason, walks = excluded.walks, walk_started_at = excluded.walk_started_at,
    finished_at = excluded.finished_at, total = excluded.total, pages = excluded.pages, entries = excluded.entries
