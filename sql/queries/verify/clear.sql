-- Whatever earlier verifications saw, and what this one ($1) saw before its last pass but one ($2).
DELETE FROM canvas_ops.sighting WHERE run_id <> $1 OR pass < $2
