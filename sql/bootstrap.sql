-- The table that remembers what was applied. Run before any migration; harmless when it is there.

CREATE TABLE IF NOT EXISTS canvas_ops.migration (
    name       text        PRIMARY KEY,
    checksum   text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

COMMENT ON TABLE canvas_ops.migration IS 'SQL files applied to these schemas: migrations once, views again whenever they change.';
COMMENT ON COLUMN canvas_ops.migration.name IS 'File name below sql/, without .sql.';
COMMENT ON COLUMN canvas_ops.migration.checksum IS 'SHA-256 of the file. An applied migration whose file has changed stops the worker.';
COMMENT ON COLUMN canvas_ops.migration.applied_at IS 'When it was applied.';
