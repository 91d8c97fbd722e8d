-- How many practitioners the last roster named that was believed; null if there was none. Before run.roster was kept: those
-- who are on it still.
SELECT coalesce(
    (SELECT roster FROM canvas_ops.run WHERE roster IS NOT NULL ORDER BY id DESC LIMIT 1),
    (SELECT nullif(count(*), 0) FROM canvas.practitioner WHERE in_roster)
)
