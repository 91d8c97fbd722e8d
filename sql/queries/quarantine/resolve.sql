-- Usable versions of these messages (ids $1) are in the table now; $2 are the raw hashes of their entries.
UPDATE canvas_ops.quarantine
SET resolved_at = now()
WHERE (message_id = ANY ($1::text[]) OR raw_hash = ANY ($2::bytea[])) AND resolved_at IS NULL
