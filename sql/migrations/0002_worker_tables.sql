-- The worker's own tables. Analysts have no business here: quarantine and communication hold whole messages.

CREATE TABLE canvas_ops.source (
    only_row boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    instance text        NOT NULL,
    bound_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE canvas_ops.source IS 'One row: the Canvas instance this schema belongs to. Messages of two instances never mix.';
COMMENT ON COLUMN canvas_ops.source.only_row IS 'Always true: keeps the table to one row.';
COMMENT ON COLUMN canvas_ops.source.instance IS 'CANVAS_INSTANCE of the first run, by default the host of the FHIR URL.';
COMMENT ON COLUMN canvas_ops.source.bound_at IS 'When the first run bound the schema.';

CREATE TABLE canvas_ops.communication (
    id             text        NOT NULL,
    _content_hash  bytea       NOT NULL,
    resource       bytea       NOT NULL,
    _run_id        bigint      NOT NULL,
    _first_seen_at timestamptz NOT NULL,
    PRIMARY KEY (id, _content_hash)
) WITH (toast_tuple_target = 8160);
-- Most resources fit a page; compressing them costs more time than it saves space.

COMMENT ON TABLE canvas_ops.communication IS 'Every version of every resource as received, so that derived columns can be made anew without the source.';
COMMENT ON COLUMN canvas_ops.communication.id IS 'Communication.id.';
COMMENT ON COLUMN canvas_ops.communication._content_hash IS 'Hash of the canonical resource, without meta and text.';
COMMENT ON COLUMN canvas_ops.communication.resource IS 'The resource''s JSON, byte for byte (bytea: it may hold what text cannot).';
COMMENT ON COLUMN canvas_ops.communication._run_id IS 'The run that first had this version.';
COMMENT ON COLUMN canvas_ops.communication._first_seen_at IS 'When the mirror first had this version.';

CREATE TABLE canvas_ops.run (
    id                bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job               text        NOT NULL CHECK (job IN ('sync', 'backfill', 'verify', 'replay', 'erase')),
    scope             text        NOT NULL CHECK (scope IN ('full', 'quick', 'selected')),
    selection         text        NOT NULL,
    version           text        NOT NULL,
    started_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    planned_at        timestamptz,
    closed_at         timestamptz,
    outcome           text        CHECK (outcome IN ('complete', 'incomplete', 'failed', 'interrupted')),
    as_of             timestamptz,
    searches          bigint,
    searches_accepted bigint,
    entries           bigint,
    inserted          bigint,
    updated           bigint,
    quarantined       bigint,
    deleted           bigint,
    CHECK ((closed_at IS NULL) = (outcome IS NULL))
);

CREATE INDEX run_open ON canvas_ops.run (id) WHERE closed_at IS NULL;

COMMENT ON TABLE canvas_ops.run IS 'One row per run. It is closed last: an open row with nobody holding the run lock is a run that died.';
COMMENT ON COLUMN canvas_ops.run.id IS 'Number of the run.';
COMMENT ON COLUMN canvas_ops.run.job IS 'sync, backfill, verify, replay or erase.';
COMMENT ON COLUMN canvas_ops.run.scope IS 'full (every practitioner), quick, or selected.';
COMMENT ON COLUMN canvas_ops.run.selection IS 'Fingerprint of what was asked for. A died run is resumed by the next that asks for the same.';
COMMENT ON COLUMN canvas_ops.run.version IS 'Version of the worker.';
COMMENT ON COLUMN canvas_ops.run.started_at IS 'When the run began.';
COMMENT ON COLUMN canvas_ops.run.planned_at IS 'When its work list (canvas_ops.search) was whole. Null: it died before.';
COMMENT ON COLUMN canvas_ops.run.closed_at IS 'When the run was closed. Null while it is open.';
COMMENT ON COLUMN canvas_ops.run.outcome IS 'complete: everything asked for was accepted. incomplete: some searches were not. failed, interrupted: it did not get to its end.';
COMMENT ON COLUMN canvas_ops.run.as_of IS 'Start of the oldest accepted walk: what stood still since then is in the mirror, if the outcome is complete.';
COMMENT ON COLUMN canvas_ops.run.searches IS 'Searches of the run, its roster''s included.';
COMMENT ON COLUMN canvas_ops.run.searches_accepted IS 'How many of them were accepted.';
COMMENT ON COLUMN canvas_ops.run.entries IS 'Communication entries that accepted walks were served.';
COMMENT ON COLUMN canvas_ops.run.inserted IS 'Messages that were new.';
COMMENT ON COLUMN canvas_ops.run.updated IS 'Messages that had changed.';
COMMENT ON COLUMN canvas_ops.run.quarantined IS 'Entries newly put in quarantine.';
COMMENT ON COLUMN canvas_ops.run.deleted IS 'Messages marked as deleted, because the source no longer has them.';

CREATE TABLE canvas_ops.search (
    id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id          bigint      NOT NULL REFERENCES canvas_ops.run (id) ON DELETE CASCADE,
    resource        text        NOT NULL CHECK (resource IN ('Communication', 'Practitioner', 'Patient')),
    parameter       text        NOT NULL,
    value           text        NOT NULL,
    place           integer     NOT NULL,
    status          text        NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'walking', 'accepted', 'not_accepted')),
    lease_token     uuid,
    leased_until    timestamptz,
    walks           integer     NOT NULL DEFAULT 0,
    walk_started_at timestamptz,
    finished_at     timestamptz,
    reason          text,
    total           bigint,
    pages           bigint,
    entries         bigint,
    inserted        bigint      NOT NULL DEFAULT 0,
    updated         bigint      NOT NULL DEFAULT 0,
    quarantined     bigint      NOT NULL DEFAULT 0,
    UNIQUE (run_id, resource, parameter, value),
    CHECK (status <> 'walking' OR (lease_token IS NOT NULL AND leased_until IS NOT NULL)),
    CHECK ((status IN ('accepted', 'not_accepted')) = (finished_at IS NOT NULL))
);

CREATE INDEX search_open ON canvas_ops.search (run_id, place) WHERE status IN ('pending', 'walking');

COMMENT ON TABLE canvas_ops.search IS 'The work list of a run: one row per FHIR search, claimed with a lease and finished in the transaction that lands its last rows.';
COMMENT ON COLUMN canvas_ops.search.id IS 'Number of the search; what logs name instead of a reference.';
COMMENT ON COLUMN canvas_ops.search.run_id IS 'canvas_ops.run.id.';
COMMENT ON COLUMN canvas_ops.search.resource IS 'Communication, or Practitioner or Patient for a roster search.';
COMMENT ON COLUMN canvas_ops.search.parameter IS 'Search parameter: recipient, sender, _id; active for a roster search.';
COMMENT ON COLUMN canvas_ops.search.value IS 'Value of the parameter, such as Practitioner/4150….';
COMMENT ON COLUMN canvas_ops.search.place IS 'Order in which searches are claimed: the longest known first.';
COMMENT ON COLUMN canvas_ops.search.status IS 'pending, walking, accepted, or not_accepted after all its walks.';
COMMENT ON COLUMN canvas_ops.search.lease_token IS 'Held by the worker that walks it. A worker whose token is gone lands nothing.';
COMMENT ON COLUMN canvas_ops.search.leased_until IS 'From then on another worker may claim it.';
COMMENT ON COLUMN canvas_ops.search.walks IS 'How often a walk was begun.';
COMMENT ON COLUMN canvas_ops.search.walk_started_at IS 'When the last walk was begun.';
COMMENT ON COLUMN canvas_ops.search.finished_at IS 'When it was accepted or given up.';
COMMENT ON COLUMN canvas_ops.search.reason IS 'Why the last walk was not accepted, in one word.';
COMMENT ON COLUMN canvas_ops.search.total IS 'Bundle.total of the last walk.';
COMMENT ON COLUMN canvas_ops.search.pages IS 'Pages of the last walk.';
COMMENT ON COLUMN canvas_ops.search.entries IS 'Distinct entries of the last walk.';
COMMENT ON COLUMN canvas_ops.search.inserted IS 'Messages that were new, over all walks.';
COMMENT ON COLUMN canvas_ops.search.updated IS 'Messages that had changed, over all walks.';
COMMENT ON COLUMN canvas_ops.search.quarantined IS 'Entries newly put in quarantine, over all walks.';

CREATE TABLE canvas_ops.mark (
    parameter      text        NOT NULL,
    value          text        NOT NULL,
    ids            text[]      NOT NULL,
    raw_hashes     bytea[]     NOT NULL,
    content_hashes bytea[]     NOT NULL,
    total          bigint      NOT NULL,
    _run_id        bigint      NOT NULL,
    _marked_at     timestamptz NOT NULL,
    PRIMARY KEY (parameter, value),
    CHECK (cardinality(ids) = cardinality(raw_hashes) AND cardinality(ids) = cardinality(content_hashes))
);

COMMENT ON TABLE canvas_ops.mark IS 'What the last accepted walk of a search saw, so that unchanged entries are skipped before they are decoded. May be emptied at any time: the next run then decodes everything.';
COMMENT ON COLUMN canvas_ops.mark.parameter IS 'Search parameter, as in canvas_ops.search.';
COMMENT ON COLUMN canvas_ops.mark.value IS 'Value of the parameter.';
COMMENT ON COLUMN canvas_ops.mark.ids IS 'Ids of the usable entries.';
COMMENT ON COLUMN canvas_ops.mark.raw_hashes IS 'Hash of each entry''s bytes, in the order of ids.';
COMMENT ON COLUMN canvas_ops.mark.content_hashes IS '_content_hash of each, in the order of ids: an entry is skipped only while its row still holds just that.';
COMMENT ON COLUMN canvas_ops.mark.total IS 'Bundle.total of that walk: more than ids if some entries were not usable.';
COMMENT ON COLUMN canvas_ops.mark._run_id IS 'The run that wrote it.';
COMMENT ON COLUMN canvas_ops.mark._marked_at IS 'When it was written.';

CREATE TABLE canvas_ops.quarantine (
    raw_hash       bytea       PRIMARY KEY,
    message_id     text,
    reason         text        NOT NULL,
    entry          bytea       NOT NULL,
    parameter      text        NOT NULL,
    value          text        NOT NULL,
    _run_id        bigint      NOT NULL,
    _first_seen_at timestamptz NOT NULL,
    resolved_at    timestamptz
);

CREATE INDEX quarantine_open ON canvas_ops.quarantine (message_id) WHERE resolved_at IS NULL;

COMMENT ON TABLE canvas_ops.quarantine IS 'Entries that cannot be a row, kept whole. Holds patients'' words.';
COMMENT ON COLUMN canvas_ops.quarantine.raw_hash IS 'Hash of the entry''s bytes: seeing it again adds nothing.';
COMMENT ON COLUMN canvas_ops.quarantine.message_id IS 'Communication.id, where one could be read.';
COMMENT ON COLUMN canvas_ops.quarantine.reason IS 'Why, in one word: no_id, impossible_date, nul_character, …';
COMMENT ON COLUMN canvas_ops.quarantine.entry IS 'The entry''s JSON, byte for byte.';
COMMENT ON COLUMN canvas_ops.quarantine.parameter IS 'Parameter of the search that first served it.';
COMMENT ON COLUMN canvas_ops.quarantine.value IS 'Value of that parameter.';
COMMENT ON COLUMN canvas_ops.quarantine._run_id IS 'The run that first met it.';
COMMENT ON COLUMN canvas_ops.quarantine._first_seen_at IS 'When it was first met.';
COMMENT ON COLUMN canvas_ops.quarantine.resolved_at IS 'When a usable version of the same message landed. Null while it is open.';

CREATE TABLE canvas_ops.suppressed (
    kind          text        NOT NULL CHECK (kind IN ('patient', 'message')),
    id            text        NOT NULL,
    suppressed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, id)
);

COMMENT ON TABLE canvas_ops.suppressed IS 'Patients and messages that must not be landed again. Whatever a source still serves of them is passed over.';
COMMENT ON COLUMN canvas_ops.suppressed.kind IS 'patient or message.';
COMMENT ON COLUMN canvas_ops.suppressed.id IS 'Id of the patient or of the message.';
COMMENT ON COLUMN canvas_ops.suppressed.suppressed_at IS 'Since when.';
