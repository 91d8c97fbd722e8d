-- The last $1 runs, the newest first, or just run $2. Of one that is open: what its searches come to so far.
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
    coalesce(r.inserted, s.inserted)          AS new,
    coalesce(r.updated, s.updated)            AS changed,
    CASE
        WHEN r.closed_at IS NULL THEN greatest(0, s.entries - s.inserted - s.updated - s.outside - s.quarantined)
        ELSE greatest(0, r.entries - r.inserted - r.updated - coalesce(r.outside, 0) - r.quarantined)
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
            sum(greatest(entries, inserted + updated + quarantined)) FILTER (WHERE resource = 'Communication'), 0
        )::bigint                                                        AS entries,
        coalesce(sum(inserted), 0)::bigint                               AS inserted,
        coalesce(sum(updated), 0)::bigint                                AS updated,
        coalesce(sum(outside), 0)::bigint                                AS outside,
        coalesce(sum(unseen), 0)::bigint                                 AS unseen,
        coalesce(sum(quarantined), 0)::bigint                            AS quarantined
    FROM canvas_ops.search
    WHERE run_id = r.id AND r.closed_at IS NULL
) AS s ON r.closed_at IS NULL
WHERE $2::bigint IS NULL OR r.id = $2
ORDER BY r.id DESC
LIMIT $1
