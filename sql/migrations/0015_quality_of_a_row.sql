-- What is odd about a message's resource, in words that canvas.quality counts: noted when the row is derived. Rows that are
-- there already have none, since what was odd in this way went to quarantine. The view canvas.quality counts odd dates.

ALTER TABLE canvas.message ADD COLUMN _quality text[] NOT NULL DEFAULT '{}';
ALTER TABLE canvas.message_history ADD COLUMN _quality text[] NOT NULL DEFAULT '{}';

COMMENT ON COLUMN canvas.message._quality IS 'What is odd about this message, in words that canvas.quality counts: odd_date, … Empty for most.';
COMMENT ON COLUMN canvas.message_history._quality IS 'As in canvas.message, then.';
