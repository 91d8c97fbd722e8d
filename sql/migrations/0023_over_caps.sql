-- Bodies are no longer refused by their size or depth: only what cannot be read in 2 seconds of computing and 300 MB of memory
-- is read without its structure, and has over_caps in _quality. The view canvas.quality says so. Rows that older rules
-- derived get their body_html by replay.

COMMENT ON COLUMN canvas.message.body_html IS 'The body as HTML that is safe to embed: nothing runs, nothing is fetched. Embed it in a box with overflow:auto, which cuts what is wider or larger than the box. Null for plain text, for HTML that could not be read in 2 seconds of computing and 300 MB of memory (_quality has over_caps), and where our own code failed (defect).';
