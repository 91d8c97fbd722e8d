-- A message to two patients lies in two searches of the other cover: what a pass saw is held against its totals search
-- by search.

DELETE FROM canvas_ops.sighting;

ALTER TABLE canvas_ops.sighting
    ADD COLUMN search integer NOT NULL,
    DROP CONSTRAINT sighting_pkey,
    ADD PRIMARY KEY (run_id, pass, key, search);

COMMENT ON TABLE canvas_ops.sighting IS 'Entries that a verification was shown by the patients'' searches, one row per entry, search and pass. Emptied when the next one begins.';
COMMENT ON COLUMN canvas_ops.sighting.search IS 'The search that showed it, by its number in the pass.';
