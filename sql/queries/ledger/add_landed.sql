-- A batch of search $1 landed: new $2, changed $3, newly in quarantine $4; the lease lasts for another $5.
UPDATE canvas_ops.search
SET inserted = inserted + $2, updated = updated + $3, quarantined = quarantined + $4,
    landings = landings + 1, leased_until = clock_timestamp() + $5::interval
WHERE id = $1
