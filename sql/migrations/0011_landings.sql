-- A standby that lags and takes over takes back landings that had been acknowledged, and may leave the claim: whoever goes
-- on with that walk is to notice.

ALTER TABLE canvas_ops.search ADD COLUMN landings integer NOT NULL DEFAULT 0;

COMMENT ON COLUMN canvas_ops.search.landings IS 'How many batches of it were landed, over all walks.';
