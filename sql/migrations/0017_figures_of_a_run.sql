-- What a run was served is told by four words, the same everywhere: new, changed, unchanged, outside. Unchanged and outside of
-- the window that was asked for looked alike before. Requests were known to the process only.

ALTER TABLE canvas_ops.search ADD COLUMN outside bigint NOT NULL DEFAULT 0;

ALTER TABLE canvas_ops.run
    ADD COLUMN outside  bigint,
    ADD COLUMN requests bigint NOT NULL DEFAULT 0;

COMMENT ON COLUMN canvas_ops.search.outside IS 'Entries of the last walk that lie outside of the days that were asked for, and were not landed.';
COMMENT ON COLUMN canvas_ops.search.inserted IS 'New: messages that the mirror did not have, over all walks.';
COMMENT ON COLUMN canvas_ops.search.updated IS 'Changed: messages that the mirror had otherwise, or as deleted, over all walks.';
COMMENT ON COLUMN canvas_ops.run.entries IS 'Served: Communication entries of the last walk of each search, accepted or not. Each is new, changed, unchanged, outside, or went to quarantine: unchanged = entries - inserted - updated - outside - quarantined.';
COMMENT ON COLUMN canvas_ops.run.inserted IS 'New: messages that the mirror did not have, those out of quarantine included.';
COMMENT ON COLUMN canvas_ops.run.updated IS 'Changed: messages that the mirror had otherwise, or as deleted.';
COMMENT ON COLUMN canvas_ops.run.outside IS 'Outside: entries that lie outside of the days that a backfill asked for (--since, --until), and were not landed. Null for runs of older versions.';
COMMENT ON COLUMN canvas_ops.run.requests IS 'Requests to the source, counted on while the run is under way, and by every process that took it up. 0 for runs of older versions.';
