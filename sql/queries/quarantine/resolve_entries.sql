-- These entries (raw hashes $1) are rows now.
UPDATE canvas_ops.quarantine SET resolved_at = now() WHERE raw_hash = ANY ($1::bytea[]) AND resolved_at IS NULL
