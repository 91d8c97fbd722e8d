-- What a source calls partial is flagged, and never lands over a version that is whole. The view canvas.quality counts it.

COMMENT ON COLUMN canvas.message._quality IS 'What is odd about this message, in words that canvas.quality counts: odd_date, defect, partial, over_caps, markup_before_cutoff. Empty for most.';
