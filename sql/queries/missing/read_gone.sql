-- Of these live messages ($1), which are gone: whose they are, and how many messages of that patient and of that practitioner
-- are left. Sets are joined, as in missing/find.
WITH
    gone AS (SELECT id, patient_id, practitioner_id FROM canvas.message WHERE id = ANY ($1::text[]) AND _deleted_at IS NULL),
    lefts AS (
        SELECT m.patient_id, m.practitioner_id
        FROM canvas.message AS m
        LEFT JOIN gone AS g ON g.id = m.id
        WHERE m._deleted_at IS NULL AND g.id IS NULL
    ),
    of_patient AS (SELECT patient_id AS id, count(*) AS messages FROM lefts GROUP BY 1),
    of_practitioner AS (SELECT practitioner_id AS id, count(*) AS messages FROM lefts GROUP BY 1)
SELECT
    g.id,
    g.patient_id,
    g.practitioner_id,
    coalesce(p.messages, 0) AS patient_left,
    coalesce(d.messages, 0) AS practitioner_left
FROM gone AS g
LEFT JOIN of_patient AS p ON p.id = g.patient_id
LEFT JOIN of_practitioner AS d ON d.id = g.practitioner_id
ORDER BY g.id
