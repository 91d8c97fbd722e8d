-- The one row of canvas.freshness.
SELECT
    last_complete_run_id, last_complete_at, as_of, age, last_verified_as_of, messages, messages_deleted, quarantined, settled_at,
    last_replayed_at
FROM canvas.freshness
