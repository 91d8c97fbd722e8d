-- What verify sees on the other cover, and what it leaves for the next sync.

-- Not logged: a verification that dies begins anew.
CREATE UNLOGGED TABLE canvas_ops.sighting (
    run_id          bigint   NOT NULL REFERENCES canvas_ops.run (id) ON DELETE CASCADE,
    pass            smallint NOT NULL,
    key             text     NOT NULL,
    message_id      text,
    content_hash    bytea,
    practitioner_id text,
    sent_at         timestamptz,
    row_differs     boolean  NOT NULL,
    PRIMARY KEY (run_id, pass, key)
);

COMMENT ON TABLE canvas_ops.sighting IS 'Entries that a verification was shown by the patients'' searches, one row per entry and pass. Emptied when the next one begins.';
COMMENT ON COLUMN canvas_ops.sighting.run_id IS 'The verification.';
COMMENT ON COLUMN canvas_ops.sighting.pass IS 'Its pass, from 1: two must agree.';
COMMENT ON COLUMN canvas_ops.sighting.key IS 'The message''s id; for an entry without one, the hash of its bytes.';
COMMENT ON COLUMN canvas_ops.sighting.message_id IS 'The message''s id. Null for an entry without one.';
COMMENT ON COLUMN canvas_ops.sighting.content_hash IS 'Hash of the canonical resource. Null for an entry that cannot be a row.';
COMMENT ON COLUMN canvas_ops.sighting.practitioner_id IS 'The message''s practitioner.';
COMMENT ON COLUMN canvas_ops.sighting.sent_at IS 'The message''s sent time.';
COMMENT ON COLUMN canvas_ops.sighting.row_differs IS 'Same content, and yet a column of the row is not what it should be; or an unusable entry that is not in quarantine.';

CREATE TABLE canvas_ops.wanted (
    id        text        PRIMARY KEY,
    _run_id   bigint      NOT NULL,
    wanted_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE canvas_ops.wanted IS 'Messages that a verification found missing in the mirror: the next sync asks for them by id.';
COMMENT ON COLUMN canvas_ops.wanted.id IS 'Communication.id.';
COMMENT ON COLUMN canvas_ops.wanted._run_id IS 'The verification that found it missing.';
COMMENT ON COLUMN canvas_ops.wanted.wanted_at IS 'Since when.';
