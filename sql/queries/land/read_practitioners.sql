-- Everyone known, listed or met.
SELECT id FROM canvas.practitioner ORDER BY id
