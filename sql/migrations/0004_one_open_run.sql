-- Of each job at most one run of a selection is open. A run whose beginning was answered into a lost connection was begun
-- twice before; the one that nobody worked in died.

UPDATE canvas_ops.run AS r
SET outcome = 'interrupted', closed_at = clock_timestamp()
WHERE closed_at IS NULL
  AND EXISTS (
      SELECT
      FROM canvas_ops.run AS later
      WHERE later.job = r.job AND later.selection = r.selection AND later.closed_at IS NULL AND later.id > r.id
  );

CREATE UNIQUE INDEX run_open_once ON canvas_ops.run (job, selection) WHERE closed_at IS NULL;
