-- Waits until whoever is claiming the next search of run $1 has it, or has let go of it.
SELECT id
FROM canvas_ops.search
WHERE run_id = $1
  AND (status = 'pending' OR (status = 'walking' AND leased_until < clock_timestamp()))
  AND EXISTS (SELECT FROM canvas_ops.run AS r WHERE r.id = $1 AND r.planned_at IS NOT NULL AND r.closed_at IS NULL)
ORDER BY place, id
LIMIT 1
FOR UPDATE
