-- What lies in quarantine, without its words: whose newest version could not be a row.

CREATE OR REPLACE VIEW canvas.unusable AS
SELECT
    q.message_id,
    q.reason,
    m.id IS NOT NULL AS has_row,
    q._first_seen_at,
    q._last_seen_at
FROM canvas_ops.quarantine AS q
LEFT JOIN canvas.message AS m ON m.id = q.message_id AND m._deleted_at IS NULL
WHERE q.resolved_at IS NULL;

COMMENT ON VIEW canvas.unusable IS 'Entries that the source serves and that cannot be a row, without their words. A message that is here and has a row holds an older version than the source.';
COMMENT ON COLUMN canvas.unusable.message_id IS 'canvas.message.id, where one could be read.';
COMMENT ON COLUMN canvas.unusable.reason IS 'Why, in one word: no_id, impossible_date, nul_character, …';
COMMENT ON COLUMN canvas.unusable.has_row IS 'Whether canvas.message has an older version of it, alive.';
COMMENT ON COLUMN canvas.unusable._first_seen_at IS 'When the entry was first served.';
COMMENT ON COLUMN canvas.unusable._last_seen_at IS 'When it was last served.';
