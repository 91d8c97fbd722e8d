-- Payloads of messages that have several: message ids $1, positions $2, texts $3, HTML $4, formats $5, bases $6.
INSERT INTO canvas.message_payload (message_id, position, body_text, body_html, body_format, body_format_basis)
SELECT * FROM unnest($1::text[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::text[])
