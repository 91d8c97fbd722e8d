-- A deletion closes what lies open in quarantine of the message. What an earlier version left open is closed here; if the
-- source serves it again after all, the next run opens it again.

UPDATE canvas_ops.quarantine AS q
SET resolved_at = now()
FROM canvas.message AS m
WHERE m.id = q.message_id AND m._deleted_at > q._first_seen_at AND q.resolved_at IS NULL;

COMMENT ON COLUMN canvas_ops.quarantine.resolved_at IS 'When it was overtaken: a usable version of the same message landed, or the message was marked as deleted. Null while it is open.';
