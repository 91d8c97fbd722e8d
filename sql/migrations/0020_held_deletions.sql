-- Deletions that look like a client whose scope shrank are held: the messages stay live until an operator accepts that.

CREATE TABLE canvas_ops.held (
    id      text   PRIMARY KEY,
    _run_id bigint NOT NULL
);

COMMENT ON TABLE canvas_ops.held IS 'Live messages that the source no longer knows by id, and that are not marked as deleted: they are all of a patient''s or of a practitioner''s, or of a patient whom the source no longer lists. The next full complete run decides anew.';
COMMENT ON COLUMN canvas_ops.held.id IS 'canvas.message.id.';
COMMENT ON COLUMN canvas_ops.held._run_id IS 'The run that held it.';

ALTER TABLE canvas_ops.run ADD COLUMN held bigint;

COMMENT ON COLUMN canvas_ops.run.held IS 'Messages that are gone at the source and were not marked as deleted, since that looks like a smaller scope of the client (canvas_ops.held).';
