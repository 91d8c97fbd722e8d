-- Practitioners whom a whole, accepted roster ($1) no longer lists, by run $2. They are still searched for.
UPDATE canvas.practitioner
SET in_roster = false, _run_id = $2, _changed_at = now()
WHERE in_roster AND id <> ALL ($1::text[])
