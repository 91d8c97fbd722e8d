-- What is wide flows over, as in any page: said only in the worker's documents before.

COMMENT ON COLUMN canvas.message.body_html IS 'The body as HTML that is safe to embed: nothing runs, nothing is fetched. Embed it in a box with overflow:auto, which cuts what is wider or larger than the box. Null for plain text, and for HTML over the size or depth caps.';
COMMENT ON COLUMN canvas.message_payload.body_html IS 'This payload as HTML, as canvas.message.body_html.';
