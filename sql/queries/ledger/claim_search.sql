-- Claims the next search of run $1 with the token $2 for the time $3. No row: nothing left to claim.
-- If this token holds one already, that one: the claim had arrived, only its answer had not. Nothing either, once another
-- run has begun that revoked the leases of this one.
UPDATE canvas_ops.search
SET status = 'walking', lease_token = $2, leased_until = clock_timestamp() + $3::interval
WHERE id = coalesce(
    (
        SELECT id
        FROM canvas_ops.search
        WHERE run_id = $1 AND status = 'walking' AND lease_token = $2
    ),
    (
        SELECT id
        FROM canvas_ops.search
        WHERE run_id = $1
          AND (status = 'pending' OR (status = 'walking' AND leased_until < clock_timestamp()))
          AND EXISTS (SELECT FROM canvas_ops.run AS r WHERE r.id = $1 AND r.planned_at IS NOT NULL AND r.closed_at IS NULL)
        ORDER BY place, id
        LIMIT 1
        FOR UPDATE SKIP LOCKED
    )
)
RETURNING id, parameter, value
