-- The Canvas instance the schema is bound to; no row before the first run.
SELECT instance, bound_at FROM canvas_ops.source
