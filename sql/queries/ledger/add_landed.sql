-- A batch of search $1 landed: new $2, changed $3, newly in quarantine $4; the lease lasts for another $5. Of $6 that
-- changed no column that an analyst sees did.
UPDATE canvas_ops.search
SET inserted = inserted + $2, updated = updated + $3, quarantined = quarantined + $4, unseen = unseen + $6,
    landings = landings + 1, leased_until = clock_timestamp() + $5::interval
WHERE id = $1
