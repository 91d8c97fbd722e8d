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
)
