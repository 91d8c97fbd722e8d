-- Locks the rows of the batch, in the order of their ids: also those that another writer has meanwhile made what they are
-- to be, since the recipients and payloads of all are written anew.
SELECT m.id
FROM canvas.message AS m
JOIN pg_temp.incoming AS i ON i.id = m.id
ORDER BY m.id
FOR UPDATE OF m
