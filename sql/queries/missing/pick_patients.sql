-- A few patients of whom run $1 was shown messages: the source must list one of them, or its word on others is worth nothing.
SELECT DISTINCT m.patient_id
FROM (
    SELECT shown.id
    FROM canvas_ops.mark AS k
    JOIN canvas_ops.search AS s ON s.parameter = k.parameter AND s.value = k.value
    CROSS JOIN LATERAL unnest(k.ids[1:3]) AS shown (id)
    WHERE s.run_id = $1 AND s.status = 'accepted' AND s.parameter <> '_id'
    LIMIT 100
) AS shown
JOIN canvas.message AS m ON m.id = shown.id
WHERE m.patient_id IS NOT NULL AND m._deleted_at IS NULL AND m.patient_id <> ALL ($2::text[])
ORDER BY 1
LIMIT 3
