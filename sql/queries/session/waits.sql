-- What the session with process $1 waits for: another session's lock, and whose; or a synchronous standby. No row: for neither.
SELECT
    a.wait_event_type = 'Lock'                                                     AS for_lock,
    h.pid                                                                          AS holder_pid,
    coalesce(nullif(h.application_name, ''), 'a session without a name')           AS holder,
    h.state                                                                        AS holder_state,
    h.xact_start                                                                   AS holder_since
FROM pg_stat_activity AS a
LEFT JOIN LATERAL unnest(pg_blocking_pids(a.pid)) AS b (pid) ON a.wait_event_type = 'Lock'
LEFT JOIN pg_stat_activity AS h ON h.pid = b.pid
WHERE a.pid = $1 AND (a.wait_event_type = 'Lock' OR a.wait_event = 'SyncRep')
ORDER BY h.xact_start NULLS LAST
LIMIT 1
