-- Which of a batch's messages (ids $1, their patients $2, in the same order) must not be landed.
SELECT served.id
FROM unnest($1::text[], $2::text[]) AS served (id, patient_id)
WHERE EXISTS (SELECT FROM canvas_ops.suppressed AS s WHERE s.kind = 'message' AND s.id = served.id)
   OR EXISTS (SELECT FROM canvas_ops.suppressed AS s WHERE s.kind = 'patient' AND s.id = served.patient_id)
