-- How many of the values $2 run $1 searched for in vain: every search was accepted, and none had an entry.
SELECT count(*)
FROM (
    SELECT value
    FROM canvas_ops.search
    WHERE run_id = $1 AND resource = 'Communication' AND value = ANY ($2::text[])
    GROUP BY value
    HAVING bool_and(status = 'accepted') AND coalesce(sum(entries), 0) = 0
) AS in_vain
