-- Statistics of what a first load has filled: without, the planner takes the tables for empty.
ANALYZE canvas.message, canvas_ops.communication, canvas_ops.mark, canvas_ops.search
