-- The tables of both schemas and what they take on disk, indexes included; the largest first.
SELECT n.nspname || '.' || c.relname AS "table", pg_total_relation_size(c.oid) AS bytes
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname = ANY ($1::text[])
ORDER BY bytes DESC, 1
