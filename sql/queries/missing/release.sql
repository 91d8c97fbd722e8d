-- What was held is decided anew.
DELETE FROM canvas_ops.held
