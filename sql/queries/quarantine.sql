-- Entries that cannot be a row: stored whole, accepted by an operator, resolved when they are overtaken.

-- name: store
-- Stores rejected entries: raw hashes $1, message ids $2, reasons $3, entries $4, of search $5 = $6, by run $7. Returns
-- those that are new here, or open again.
INSERT INTO canvas_ops.quarantine AS q (
    raw_hash, message_id, reason, entry, parameter, value, _run_id, _first_seen_at, _last_run_id, _last_seen_at
)
SELECT r.raw_hash, r.message_id, r.reason, r.entry, $5::text, $6::text, $7::bigint, now(), $7::bigint, now()
FROM unnest($1::bytea[], $2::text[], $3::text[], $4::bytea[]) AS r (raw_hash, message_id, reason, entry)
WHERE NOT EXISTS (SELECT FROM canvas_ops.suppressed AS s WHERE s.kind = 'message' AND s.id = r.message_id)
ORDER BY r.raw_hash
ON CONFLICT (raw_hash) DO UPDATE
SET resolved_at = NULL, _last_run_id = excluded._last_run_id, _last_seen_at = excluded._last_seen_at
WHERE q.resolved_at IS NOT NULL
RETURNING q.raw_hash;

-- name: note_served
-- Notes that these entries (raw hashes $1) were served again, to run $2. They are locked in order, since two searches may
-- be served the same entry.
UPDATE canvas_ops.quarantine AS q
SET _last_run_id = $2, _last_seen_at = now()
FROM (
    SELECT raw_hash FROM canvas_ops.quarantine WHERE raw_hash = ANY ($1::bytea[]) ORDER BY raw_hash FOR UPDATE
) AS served
WHERE q.raw_hash = served.raw_hash;

-- name: resolve
-- Resolves what is overtaken: usable versions of these messages (ids $1) are in the table now; $2 are the raw hashes of
-- their entries.
UPDATE canvas_ops.quarantine
SET resolved_at = now()
WHERE (message_id = ANY ($1::text[]) OR raw_hash = ANY ($2::bytea[])) AND resolved_at IS NULL;

-- name: resolve_gone
-- Resolves the entries of messages that run $1 marked as deleted, so that none is brought back from here. Run after
-- missing/tombstone.
UPDATE canvas_ops.quarantine AS q
SET resolved_at = now()
FROM canvas.message AS m
WHERE m.id = q.message_id AND m._deleted_at IS NOT NULL AND m._run_id = $1 AND q.resolved_at IS NULL;

-- name: resolve_unserved
-- Resolves entries that the source no longer has: the search that had served them was accepted in run $1, and neither it
-- nor another search served them.
UPDATE canvas_ops.quarantine
SET resolved_at = now()
WHERE resolved_at IS NULL
  AND _last_run_id < $1
  AND (parameter, value) IN (
      SELECT parameter, value
      FROM canvas_ops.search
      WHERE run_id = $1 AND resource = 'Communication' AND status = 'accepted'
  );

-- name: accept
-- Operator $2 accepts what is open for reason $1. Entries that somebody accepted before keep that name.
UPDATE canvas_ops.quarantine
SET accepted_at = now(), accepted_by = $2
WHERE reason = $1 AND resolved_at IS NULL AND accepted_at IS NULL;

-- name: read_open
-- The next $4 open entries, first seen since $1 (or at any time), in the order in which they were last served, after time
-- $2 and hash $3.
SELECT raw_hash, entry, _last_seen_at
FROM canvas_ops.quarantine
WHERE resolved_at IS NULL
  AND ($1::timestamptz IS NULL OR _first_seen_at >= $1)
  AND (_last_seen_at, raw_hash) > ($2::timestamptz, $3::bytea)
ORDER BY _last_seen_at, raw_hash
LIMIT $4;

-- name: lock_open
-- Which of these entries (raw hashes $1; $2 are the message ids that can be read in them now) are still open, and which
-- are doubtful. If an entry's id could not be read when it was stored, no newer version and no deletion resolved it; so
-- nothing tells whether a row that a run other than $3 wrote is the newer one. The rows are locked, so that they stay open
-- until the transaction ends.
SELECT
    q.raw_hash,
    q.message_id IS NULL AND EXISTS (
        SELECT FROM canvas.message AS m WHERE m.id = r.message_id AND m._run_id <> $3::bigint
    ) AS is_doubtful
FROM unnest($1::bytea[], $2::text[]) AS r (raw_hash, message_id)
JOIN canvas_ops.quarantine AS q ON q.raw_hash = r.raw_hash
WHERE q.resolved_at IS NULL
ORDER BY q.raw_hash
FOR UPDATE OF q;

-- name: resolve_entries
-- Resolves these entries (raw hashes $1): they are rows now.
UPDATE canvas_ops.quarantine SET resolved_at = now() WHERE raw_hash = ANY ($1::bytea[]) AND resolved_at IS NULL;
