-- Whether this role may write where every run writes: of both schemas one table each, which stand for the others.
SELECT bool_and(has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'UPDATE'))
FROM (VALUES ('canvas.message'::regclass), ('canvas_ops.run'::regclass)) AS c (oid)
