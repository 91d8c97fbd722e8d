-- Before the recipients of changed messages ($1) are written anew.
DELETE FROM canvas.message_recipient WHERE message_id = ANY ($1::text[])
