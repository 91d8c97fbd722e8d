-- Together with revoke_leases: whoever goes on with an open run plans it anew first, and so becomes the one who may close it.
UPDATE canvas_ops.run SET planned_at = NULL WHERE planned_at IS NOT NULL AND closed_at IS NULL
