-- One row: how far this mirror can be trusted. Counted from full runs that were complete, and from nothing else.

CREATE OR REPLACE VIEW canvas.freshness AS
SELECT
    latest.id                                                              AS last_complete_run_id,
    latest.closed_at                                                       AS last_complete_at,
    latest.as_of                                                           AS as_of,
    now() - latest.as_of                                                   AS age,
    (
        SELECT max(as_of)
        FROM canvas_ops.run
        WHERE job = 'verify' AND outcome = 'complete'
    )                                                                      AS last_verified_as_of,
    (SELECT count(*) FROM canvas.message WHERE _deleted_at IS NULL)        AS messages,
    (SELECT count(*) FROM canvas.message WHERE _deleted_at IS NOT NULL)    AS messages_deleted,
    (SELECT count(*) FROM canvas_ops.quarantine WHERE resolved_at IS NULL) AS quarantined,
    (
        SELECT coalesce(closed_at, held_since)
        FROM canvas_ops.run
        ORDER BY held_since DESC, id DESC
        LIMIT 1
    )                                                                      AS settled_at,
    (SELECT max(closed_at) FROM canvas_ops.run WHERE job = 'replay')       AS last_replayed_at
FROM (SELECT) AS always_one_row
LEFT JOIN LATERAL (
    SELECT id, closed_at, as_of
    FROM canvas_ops.run
    WHERE scope = 'full' AND outcome = 'complete' AND job IN ('sync', 'backfill')
    ORDER BY as_of DESC
    LIMIT 1
) AS latest ON true;

COMMENT ON VIEW canvas.freshness IS 'One row: the last full complete run, and how much there is. Every message that did not change at the source since as_of is in the mirror, except for what canvas.unusable lists.';
COMMENT ON COLUMN canvas.freshness.last_complete_run_id IS 'The last full run that was complete. Null if there was none yet.';
COMMENT ON COLUMN canvas.freshness.last_complete_at IS 'When it was closed.';
COMMENT ON COLUMN canvas.freshness.as_of IS 'Start of its oldest accepted walk. Every message that did not change at the source since then is here.';
COMMENT ON COLUMN canvas.freshness.age IS 'Time since as_of. Null if no full run was complete yet: as good a reason for an alarm as a large one.';
COMMENT ON COLUMN canvas.freshness.last_verified_as_of IS 'as_of of the last verification that found no difference. Null if there was none yet.';
COMMENT ON COLUMN canvas.freshness.messages IS 'Messages in canvas.message that are not deleted.';
COMMENT ON COLUMN canvas.freshness.messages_deleted IS 'Messages in canvas.message that the source no longer has.';
COMMENT ON COLUMN canvas.freshness.quarantined IS 'Entries that cannot be a row (canvas.unusable): of some messages an older version is in canvas.message, of others nothing.';
COMMENT ON COLUMN canvas.freshness.settled_at IS 'Up to here no row of canvas.message will get a _changed_at any more: read incrementally up to it. Null before the first run.';
COMMENT ON COLUMN canvas.freshness.last_replayed_at IS 'When replay last ended, which rewrites rows and leaves their _changed_at: who reads incrementally reads everything once more after it. Null if it never ran.';
