-- How many entries pass $2 of verification $1 saw: in each search, to hold against the totals, and how many in all.
SELECT count(*) AS sightings, count(DISTINCT key) AS entries FROM canvas_ops.sighting WHERE run_id = $1 AND pass = $2
