-- The one row of canvas.freshness.
SELECT last_complete_run_id, last_complete_at, as_of, age, messages, messages_deleted, quarantined FROM canvas.freshness
