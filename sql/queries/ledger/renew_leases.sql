-- Whatever of run $1 is still walked with one of the tokens $2 is held for another $3. What is just being landed is passed
-- over: landing renews its lease itself, and the others' must not wait for it.
UPDATE canvas_ops.search
SET leased_until = clock_timestamp() + $3::interval
WHERE id IN (
    SELECT id
    FROM canvas_ops.search
    WHERE run_id = $1 AND status = 'walking' AND lease_token = ANY ($2::uuid[])
    ORDER BY id
    FOR UPDATE SKIP LOCKED
)
