-- A new run: job $1, scope $2, fingerprint of the selection $3, version $4.
INSERT INTO canvas_ops.run (job, scope, selection, version) VALUES ($1, $2, $3, $4) RETURNING id
