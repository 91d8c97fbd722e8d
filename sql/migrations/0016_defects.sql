-- A record on which the mirror's own code fails becomes a row all the same, as far as that can be. The view canvas.quality
-- counts those.

COMMENT ON COLUMN canvas.message.body_format IS 'html or plain: how the body was read. Null if there was no content, or if our own code failed to decide it (_quality has defect).';
COMMENT ON COLUMN canvas.message.body_format_basis IS 'Which rule decided body_format: before_cutoff, no_markup, cutoff_hour, no_sent or after_cutoff, the first that applies. Null where body_format is.';
COMMENT ON COLUMN canvas.message._quality IS 'What is odd about this message, in words that canvas.quality counts: odd_date, defect, … Empty for most.';
COMMENT ON COLUMN canvas.message._rules_version IS 'Version of the transform rules, cutoff included, that derived this row. Ends in +defect if our own code failed on it: replay derives it anew.';
