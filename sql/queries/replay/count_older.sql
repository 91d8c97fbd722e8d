-- How many present and past versions were derived by other rules than $1 and sent since $2 (or whenever), or were found
-- altered by a verification.
SELECT
    (
        SELECT count(*) FROM canvas.message
        WHERE (_rules_version <> $1 AND ($2::timestamptz IS NULL OR sent_at >= $2 OR sent_at IS NULL))
           OR id IN (SELECT id FROM canvas_ops.altered)
    ) + (
        SELECT count(*) FROM canvas.message_history
        WHERE _rules_version <> $1 AND ($2::timestamptz IS NULL OR sent_at >= $2 OR sent_at IS NULL)
    )
