-- How many messages the source has, as far as the mirror knows.
SELECT count(*) FROM canvas.message WHERE _deleted_at IS NULL
