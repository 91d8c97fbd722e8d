-- The rows of the staged messages are what their resources say.
DELETE FROM canvas_ops.altered AS a USING pg_temp.incoming AS i WHERE i.id = a.id
