-- What the searches of run $1 come to.
SELECT
    count(*)                                                                     AS searches,
    count(*) FILTER (WHERE status = 'accepted')                                  AS accepted,
    count(*) FILTER (WHERE status IN ('pending', 'walking'))                     AS open,
    min(walk_started_at) FILTER (WHERE status = 'accepted')                      AS as_of,
    coalesce(sum(pages), 0)::bigint                                              AS pages,
    coalesce(sum(entries) FILTER (WHERE resource = 'Communication'), 0)::bigint  AS entries,
    coalesce(sum(inserted), 0)::bigint                                           AS inserted,
    coalesce(sum(updated), 0)::bigint                                            AS updated,
    coalesce(sum(quarantined), 0)::bigint                                        AS quarantined,
    coalesce(sum(outside), 0)::bigint                                            AS outside
FROM canvas_ops.search
WHERE run_id = $1
