-- Run $1 goes on, in another process: whoever had rows of it under way has lost its leases.
UPDATE canvas_ops.run SET held_since = clock_timestamp() WHERE id = $1
