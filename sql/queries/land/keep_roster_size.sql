-- The roster of run $1, believed, names $2 practitioners.
UPDATE canvas_ops.run SET roster = $2 WHERE id = $1
