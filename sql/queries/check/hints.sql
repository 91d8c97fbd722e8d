-- What about the schemas $1, this role and this database is worth a look: tables whose rows a policy may hide from us, the
-- time-outs that the role, the database or the server would set, and whether texts are sorted otherwise than when the
-- database was made.
SELECT
    (
        SELECT string_agg(c.oid::regclass::text, ', ' ORDER BY c.oid::regclass::text)
        FROM pg_class AS c
        WHERE c.relnamespace::regnamespace::text = ANY ($1::text[]) AND c.relkind = 'r' AND row_security_active(c.oid)
    ) AS row_security,
    (
        SELECT string_agg(format('%s = %s%s', s.name, s.reset_val, s.unit), ', ' ORDER BY s.name)
        FROM pg_settings AS s
        WHERE s.name IN ('statement_timeout', 'lock_timeout', 'transaction_timeout', 'idle_session_timeout',
                         'idle_in_transaction_session_timeout')
          AND s.reset_val <> '0'
    ) AS timeouts,
    (
        SELECT d.datcollversion IS DISTINCT FROM pg_database_collation_actual_version(d.oid)
        FROM pg_database AS d
        WHERE d.datname = current_database()
    ) AS sorts_otherwise
