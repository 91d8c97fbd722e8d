-- How many messages each search had last time, to start the longest first.
SELECT parameter, value, cardinality(ids) AS size FROM canvas_ops.mark
