-- These searches ($1), whose walk was accepted, are not, for the reason $2.
UPDATE canvas_ops.search SET status = 'not_accepted', reason = $2 WHERE id = ANY ($1::bigint[]) AND status = 'accepted'
