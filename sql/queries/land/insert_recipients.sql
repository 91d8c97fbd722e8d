-- Recipients of messages that have several: message ids $1, positions $2, types $3, ids $4.
INSERT INTO canvas.message_recipient (message_id, position, recipient_type, recipient_id)
SELECT * FROM unnest($1::text[], $2::integer[], $3::text[], $4::text[])
