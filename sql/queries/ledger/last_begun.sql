-- How long ago the newest full sync began or was taken up, and whether one died: it is open, and nobody holds the run lock,
-- whose key is $1. One that died does not count. Once the server's clock has been put back, held_since may lie ahead of it.
WITH sync AS (
    SELECT
        id,
        clock_timestamp() - CASE WHEN held_since <= clock_timestamp() THEN held_since ELSE started_at END AS age,
        closed_at IS NULL AND NOT EXISTS (
            SELECT
            FROM pg_locks AS l
            WHERE l.locktype = 'advisory'
              AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
              AND (l.classid::bigint << 32 | l.objid::bigint) = $1::bigint
              AND l.objsubid = 1
              AND l.granted
        ) AS died
    FROM canvas_ops.run
    WHERE job = 'sync' AND scope = 'full'
)
SELECT
    (SELECT age FROM sync WHERE NOT died ORDER BY id DESC LIMIT 1) AS age,
    EXISTS (SELECT FROM sync WHERE died)                           AS died
