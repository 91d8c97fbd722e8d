-- The one list of what every session of ours is set to, whatever the role, the database or a pooler would have it be. By a
-- statement, because a pooler refuses start-up parameters that it does not know. A server passes over what its version does
-- not know. A literal takes the place of the name, so that this is one message.
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
WHERE current_setting(name, true) IS NOT NULL
