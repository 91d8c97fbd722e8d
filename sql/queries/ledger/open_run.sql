-- A new run: job $1, scope $2, fingerprint of the selection $3, version $4. If such a run is open, that one: its beginning
-- had arrived, only its answer had not. Held since later than any run before, whatever the clock says.
INSERT INTO canvas_ops.run (job, scope, selection, version, held_since)
VALUES (
    $1, $2, $3, $4,
    greatest(
        clock_timestamp(),
        (SELECT max(greatest(closed_at, held_since)) + interval '1 microsecond' FROM canvas_ops.run)
    )
)
ON CONFLICT (job, selection) WHERE closed_at IS NULL DO UPDATE
SET scope = excluded.scope, version = excluded.version, held_since = excluded.held_since
RETURNING id
