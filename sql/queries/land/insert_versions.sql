-- The resources as received, by run $1. A version that came back is there already. In the order of their ids, so that
-- two writers meet in the same order and cannot deadlock.
INSERT INTO canvas_ops.communication (id, _content_hash, resource, _run_id, _first_seen_at)
SELECT id, _content_hash, resource, $1, now()
FROM pg_temp.incoming
ORDER BY id
ON CONFLICT (id, _content_hash) DO NOTHING
