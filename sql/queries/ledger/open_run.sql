-- A new run: job $1, scope $2, fingerprint of the selection $3, version $4. If such a run is open, that one: its beginning
-- had arrived, only its answer had not.
INSERT INTO canvas_ops.run (job, scope, selection, version)
VALUES ($1, $2, $3, $4)
ON CONFLICT (job, selection) WHERE closed_at IS NULL DO UPDATE
SET scope = excluded.scope, version = excluded.version, held_since = clock_timestamp()
RETURNING id
