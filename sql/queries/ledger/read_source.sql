-- The Canvas instance the schema is bound to; no row before the first run.
SELECT instance FROM canvas_ops.source
