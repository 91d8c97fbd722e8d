-- Run $1 has made $2 requests so far. One that was cut off, and says so late, does not count back.
UPDATE canvas_ops.run SET requests = greatest(requests, $2) WHERE id = $1
