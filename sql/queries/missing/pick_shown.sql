-- A few messages that run $1 was shown, of different searches first: the source must know one of them by id too, or its
-- word on others is worth nothing. A few, since one may have been deleted meanwhile.
SELECT shown.id
FROM canvas_ops.mark AS k
JOIN canvas_ops.search AS s ON s.parameter = k.parameter AND s.value = k.value
CROSS JOIN LATERAL unnest(k.ids[1:3]) WITH ORDINALITY AS shown (id, place)
WHERE s.run_id = $1 AND s.status = 'accepted' AND s.parameter <> '_id'
ORDER BY shown.place, k.parameter, k.value
LIMIT 3
