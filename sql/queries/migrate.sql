-- The table of what was applied.

-- name: remember
-- Notes that a file was applied. Literals take the places of the two words, so that `migrate --print` shows just this.
INSERT INTO canvas_ops.migration (name, checksum) VALUES ('$name', '$checksum')
ON CONFLICT (name) DO UPDATE SET checksum = excluded.checksum, applied_at = clock_timestamp();
