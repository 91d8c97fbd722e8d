-- Some message that run $1 was shown: the source must know it by id too, or its word on others is worth nothing.
SELECT k.ids[1]
FROM canvas_ops.mark AS k
JOIN canvas_ops.search AS s ON s.parameter = k.parameter AND s.value = k.value
WHERE s.run_id = $1 AND s.status = 'accepted' AND s.parameter <> '_id' AND cardinality(k.ids) > 0
ORDER BY k.parameter, k.value
LIMIT 1
