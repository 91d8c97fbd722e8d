-- canvas.quality counts what is odd about bodies by the words of the row, too, instead of reading all old bodies again. Rows
-- of older rules have the words once `replay` has derived them anew.

COMMENT ON COLUMN canvas.message._quality IS 'What is odd about this message, in words that canvas.quality counts: odd_date, defect, over_caps, markup_before_cutoff. Empty for most.';
