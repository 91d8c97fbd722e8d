-- These searches ($1), whose walk was accepted, are to be walked once more.
UPDATE canvas_ops.search
SET status = 'pending', lease_token = NULL, leased_until = NULL, finished_at = NULL
WHERE id = ANY ($1::bigint[]) AND status = 'accepted'
