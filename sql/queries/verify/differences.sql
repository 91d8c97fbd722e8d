-- The next $4 differences between pass $2 of verification $1 and the mirror, after the key $3. Each with the hash that the
-- mirror holds, and whether an accepted walk of the sync $5 (null: of none) was shown just that.
WITH
    seen AS (
        SELECT DISTINCT ON (key) *
        FROM canvas_ops.sighting
        WHERE run_id = $1 AND pass = $2 AND key > $3
        ORDER BY key, search
    ),
    live AS (SELECT id, _content_hash, sent_at FROM canvas.message WHERE _deleted_at IS NULL AND id > $3),
    differing AS (
        SELECT
            coalesce(seen.key, live.id)            AS key,
            coalesce(seen.message_id, live.id)     AS message_id,
            CASE
                WHEN seen.key IS NULL THEN 'extra'
                WHEN seen.content_hash IS NULL THEN 'unaccounted'
                WHEN live.id IS NULL THEN 'missing'
                WHEN live._content_hash <> seen.content_hash THEN 'stale'
                ELSE 'altered'
            END                                    AS kind,
            live._content_hash                     AS mirror_hash,
            seen.practitioner_id,
            coalesce(seen.sent_at, live.sent_at)   AS sent_at
        FROM seen
        FULL JOIN live ON live.id = seen.key
        WHERE seen.key IS NULL
           OR (seen.content_hash IS NULL AND seen.row_differs)
           OR (
               seen.content_hash IS NOT NULL
               AND (live.id IS NULL OR live._content_hash <> seen.content_hash OR seen.row_differs)
               -- What the warehouse itself refuses is accounted for in quarantine.
               AND NOT EXISTS (
                   SELECT
                   FROM canvas_ops.quarantine AS q
                   WHERE q.message_id = seen.message_id AND q.reason = 'refused_by_warehouse' AND q.resolved_at IS NULL
               )
           )
        ORDER BY 1
        LIMIT $4
    ),
    -- What accepted walks of that sync were shown of just these ids. A mark that stands unchanged is what it saw, too.
    shown AS (
        SELECT walked.id, walked.content_hash
        FROM canvas_ops.mark AS k
        JOIN canvas_ops.search AS s ON s.parameter = k.parameter AND s.value = k.value
        CROSS JOIN LATERAL unnest(k.ids, k.content_hashes) AS walked (id, content_hash)
        WHERE s.run_id = $5 AND s.resource = 'Communication' AND s.status = 'accepted'
          AND walked.id IN (SELECT message_id FROM differing)
    )
SELECT
    d.*,
    coalesce((d.message_id, d.mirror_hash) IN (SELECT id, content_hash FROM shown), false) AS as_last_shown,
    d.mirror_hash IS NOT NULL AND d.message_id IN (SELECT id FROM canvas_ops.held) AS held
FROM differing AS d
ORDER BY d.key
