-- How many messages changed, and in no column that an analyst sees.

ALTER TABLE canvas_ops.search ADD COLUMN unseen bigint NOT NULL DEFAULT 0;
ALTER TABLE canvas_ops.run ADD COLUMN unseen bigint;

COMMENT ON COLUMN canvas_ops.search.unseen IS 'Of the messages that had changed: in how many no column that an analyst sees did.';
COMMENT ON COLUMN canvas_ops.run.unseen IS 'Of the messages that had changed: in how many no column that an analyst sees did.';
