-- What lies open for reason $1 is accepted by operator $2. Whoever accepted some of it before stays noted.
UPDATE canvas_ops.quarantine
SET accepted_at = now(), accepted_by = $2
WHERE reason = $1 AND resolved_at IS NULL AND accepted_at IS NULL
