-- What somebody may have added to the tables of the schemas $1 that takes part in writing a row: indexes that are not ours
-- ($2), generated columns, triggers. Constraints are named by the server itself.
SELECT 'index ' || i.indexrelid::regclass AS name
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE c.relnamespace::regnamespace::text = ANY ($1::text[])
  AND c.relname <> ALL ($2::text[])
  AND NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = i.indexrelid)
UNION ALL
SELECT 'column ' || c.oid::regclass || '.' || quote_ident(t.attname)
FROM pg_attribute AS t
JOIN pg_class AS c ON c.oid = t.attrelid
WHERE c.relnamespace::regnamespace::text = ANY ($1::text[]) AND c.relkind = 'r' AND t.attgenerated <> ''
UNION ALL
SELECT 'trigger ' || quote_ident(g.tgname) || ' on ' || c.oid::regclass
FROM pg_trigger AS g
JOIN pg_class AS c ON c.oid = g.tgrelid
WHERE c.relnamespace::regnamespace::text = ANY ($1::text[]) AND NOT g.tgisinternal
ORDER BY 1
