-- Who holds the advisory lock $1 of this database since when. Columns of other roles' sessions may read null.
SELECT a.application_name, a.backend_start
FROM pg_locks AS l
JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory'
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (l.classid::bigint << 32 | l.objid::bigint) = $1::bigint
  AND l.objsubid = 1
  AND l.granted
