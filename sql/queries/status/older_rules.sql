-- How many rows were derived by other transform rules than the present ones ($1).
SELECT count(*) FROM canvas.message WHERE _rules_version <> $1
