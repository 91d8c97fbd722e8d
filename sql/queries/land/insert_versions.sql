-- The resources as received, by run $1. A version that came back is there already.
INSERT INTO canvas_ops.communication (id, _content_hash, resource, _run_id, _first_seen_at)
SELECT id, _content_hash, resource, $1, now()
FROM incoming
ON CONFLICT (id, _content_hash) DO NOTHING
