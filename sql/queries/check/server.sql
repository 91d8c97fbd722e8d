-- What about this server matters to us: its version and encoding, whether it can be written to, our rights, and what its
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
    current_setting('pgaudit.log_parameter', true)                AS "pgaudit.log_parameter"
