-- Before the payloads of changed messages ($1) are written anew.
DELETE FROM canvas.message_payload WHERE message_id = ANY ($1::text[])
