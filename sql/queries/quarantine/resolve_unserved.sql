-- Entries that the source no longer has: the search that had served them was accepted in run $1, and did not, nor did another.
UPDATE canvas_ops.quarantine
SET resolved_at = now()
WHERE resolved_at IS NULL
  AND _last_run_id < $1
  AND (parameter, value) IN (
      SELECT parameter, value
      FROM canvas_ops.search
      WHERE run_id = $1 AND resource = 'Communication' AND status = 'accepted'
  )
