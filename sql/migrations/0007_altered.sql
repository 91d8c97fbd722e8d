-- A row that somebody altered in the warehouse is passed over by sync, whose source has not changed, and by replay, whose
-- rules have not: replay is told of it.

CREATE TABLE canvas_ops.altered (
    id       text        PRIMARY KEY,
    _run_id  bigint      NOT NULL,
    found_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE canvas_ops.altered IS 'Messages of which a verification found that columns of their row are not what the resource says: the next replay writes them anew.';
COMMENT ON COLUMN canvas_ops.altered.id IS 'Communication.id.';
COMMENT ON COLUMN canvas_ops.altered._run_id IS 'The verification that found it.';
COMMENT ON COLUMN canvas_ops.altered.found_at IS 'Since when.';

COMMENT ON TABLE canvas_ops.wanted IS 'Messages that a verification found missing in the mirror, or of another version there: the next sync asks for them by id.';
COMMENT ON COLUMN canvas_ops.wanted._run_id IS 'The verification that found it.';
