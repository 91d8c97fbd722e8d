-- What a session is set to, what it waits for, and the advisory locks that sessions hold.

-- name: set_up
-- The one list of what every session of ours is set to, whatever the role, the database or a pooler would set. A
-- statement, because a pooler refuses start-up parameters that it does not know. Settings that the server's version does
-- not know are left out. A literal takes the place of the name, so that this is one message.
SELECT set_config(name, setting, false)
FROM (
    VALUES
        ('application_name', '$application_name'),
        ('TimeZone', 'UTC'),
        -- Landing reads what was committed before each of its statements.
        ('default_transaction_isolation', 'read committed'),
        -- A server that crashes must not take back a run's work list, or a lease, that the worker goes on from.
        ('synchronous_commit', 'on'),
        -- The worker gives a statement up after 300 s. This is for a statement whose worker is gone.
        ('statement_timeout', '330s'),
        ('lock_timeout', '0'),
        ('transaction_timeout', '0'),
        ('idle_session_timeout', '0'),
        ('idle_in_transaction_session_timeout', '300s'),
        -- A connection cut between its two ends must not keep a lock or a lease alive at the server.
        ('tcp_keepalives_idle', '30'),
        ('tcp_keepalives_interval', '10'),
        ('tcp_keepalives_count', '3'),
        -- What keepalives do not see: an answer under way to a host that is gone.
        ('tcp_user_timeout', '60000')
) AS ours (name, setting)
WHERE current_setting(name, true) IS NOT NULL;

-- name: waits
-- What the session with process $1 waits for: another session's lock, and whose; or a synchronous standby. No row: neither.
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
LIMIT 1;

-- name: holds_lock
-- Whether the session with process id $2 holds the advisory lock $1 of this database.
SELECT EXISTS (
    SELECT
    FROM pg_locks AS l
    WHERE l.locktype = 'advisory'
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (l.classid::bigint << 32 | l.objid::bigint) = $1::bigint
      AND l.objsubid = 1
      AND l.pid = $2::integer
      AND l.granted
);

-- name: lock_holder
-- Who holds the advisory lock $1 of this database, and since when. Columns of other roles' sessions may be null.
SELECT a.application_name, a.backend_start
FROM pg_locks AS l
JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory'
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (l.classid::bigint << 32 | l.objid::bigint) = $1::bigint
  AND l.objsubid = 1
  AND l.granted;
