-- Usable versions of these messages ($1) are in the table now.
UPDATE canvas_ops.quarantine
SET resolved_at = now()
WHERE message_id = ANY ($1::text[]) AND resolved_at IS NULL
