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
WHERE run_id = $1
