-- Whether run $1 has a search that is not claimed, or is just being claimed.
SELECT EXISTS (
    SELECT
    FROM canvas_ops.search
    WHERE run_id = $1
      AND (status = 'pending' OR (status = 'walking' AND leased_until < clock_timestamp()))
      AND EXISTS (SELECT FROM canvas_ops.run AS r WHERE r.id = $1 AND r.planned_at IS NOT NULL AND r.closed_at IS NULL)
)
