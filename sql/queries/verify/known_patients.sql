-- Patients met in messages: they are searched for even if the Patient search does not list them.
SELECT DISTINCT patient_id FROM canvas.message WHERE patient_id IS NOT NULL AND _deleted_at IS NULL ORDER BY patient_id
