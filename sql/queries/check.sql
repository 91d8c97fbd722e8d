-- What `check` asks the server about itself and about our rights on it.

-- name: server
-- What matters to us about this server: its version and encoding, whether it can be written to, our rights, and what its
-- log would quote.
SELECT
    current_setting('server_version_num')::integer                AS version_num,
    current_setting('server_version')                             AS version,
    current_setting('server_encoding')                            AS encoding,
    pg_is_in_recovery()                                           AS is_standby,
    current_setting('transaction_read_only')                      AS transaction_read_only,
    has_database_privilege(current_database(), 'TEMPORARY')       AS may_stage,
    current_setting('log_min_messages')                           AS log_min_messages,
    current_setting('log_min_error_statement')                    AS log_min_error_statement,
    current_setting('log_error_verbosity')                        AS log_error_verbosity,
    current_setting('log_parameter_max_length')::integer          AS log_parameter_max_length,
    current_setting('log_parameter_max_length_on_error')::integer AS log_parameter_max_length_on_error,
    current_setting('log_statement')                              AS log_statement,
    current_setting('log_min_duration_statement')                 AS log_min_duration_statement,
    current_setting('log_min_duration_sample')                    AS log_min_duration_sample,
    current_setting('log_transaction_sample_rate')                AS log_transaction_sample_rate,
    -- Of modules that are not loaded: null, or what somebody set for the day when they are.
    current_setting('auto_explain.log_min_duration', true)        AS "auto_explain.log_min_duration",
    current_setting('pgaudit.log_parameter', true)                AS "pgaudit.log_parameter";

-- name: hints
-- What is worth a look about the schemas $1, this role and this database: tables whose rows a policy may hide from us; the
-- time-outs that the role, the database or the server would set; and whether texts are sorted otherwise than when the
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
    ) AS sorts_otherwise;

-- name: rights
-- Whether this role may create those of the schemas $1 that are missing, and owns those that are there.
SELECT bool_and(
    CASE
        WHEN n.oid IS NULL THEN has_database_privilege(current_database(), 'CREATE')
        ELSE pg_has_role(n.nspowner, 'USAGE')
    END
)
FROM unnest($1::text[]) AS wanted (name)
LEFT JOIN pg_namespace AS n ON n.nspname = wanted.name;

-- name: writes
-- Whether this role may write where every run writes. One table of each schema stands for the others.
SELECT bool_and(has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'UPDATE'))
FROM (VALUES ('canvas.message'::regclass), ('canvas_ops.run'::regclass)) AS c (oid);
