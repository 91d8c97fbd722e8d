-- The first run binds the schema to its Canvas instance ($1).
INSERT INTO canvas_ops.source (instance) VALUES ($1) ON CONFLICT (only_row) DO NOTHING
