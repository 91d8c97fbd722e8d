-- The schemas, whole: `canvas` for analysts, `canvas_ops` for the worker. An empty database gets this file and then the
-- views. A warehouse that is there gets the migrations that it has not had yet, and is then the same.
--
-- Names with a leading underscore do not come from Canvas. Ids, references and other keys are COLLATE "C": they are
-- compared byte by byte, which is fast and the same on every server, whatever its locale is and becomes.

-- What analysts read -----------------------------------------------------------------------------------------------

CREATE TABLE canvas.message (
    id                text        COLLATE "C" PRIMARY KEY,
    status            text,
    delivery          text        NOT NULL CHECK (delivery IN ('sent', 'draft', 'scheduled', 'void', 'unknown')),
    direction         text        NOT NULL CHECK (direction IN ('patient_to_practitioner', 'practitioner_to_patient', 'unknown')),
    patient_id        text        COLLATE "C",
    practitioner_id   text        COLLATE "C",
    sender_type       text        COLLATE "C",
    sender_id         text        COLLATE "C",
    recipient_type    text        COLLATE "C",
    recipient_id      text        COLLATE "C",
    sent_at           timestamptz,
    received_at       timestamptz,
    body_text         text,
    body_html         text,
    body_format       text        CHECK (body_format IN ('html', 'plain')),
    body_format_basis text        CHECK (body_format_basis IN ('before_cutoff', 'no_markup', 'cutoff_hour', 'no_sent', 'after_cutoff')),
    payload_count     integer     NOT NULL CHECK (payload_count >= 0),
    _run_id           bigint      NOT NULL,
    _first_seen_at    timestamptz NOT NULL,
    _changed_at       timestamptz NOT NULL,
    _deleted_at       timestamptz,
    _content_hash     bytea       NOT NULL,
    _rules_version    text        NOT NULL,
    _quality          text[]      NOT NULL DEFAULT '{}',
    CHECK ((body_format IS NULL) = (body_format_basis IS NULL)),
    CHECK (body_html IS NULL OR body_format = 'html'),
    CHECK (_changed_at >= _first_seen_at)
);

CREATE INDEX message_by_patient ON canvas.message (patient_id, sent_at);
CREATE INDEX message_by_practitioner ON canvas.message (practitioner_id, sent_at);
CREATE INDEX message_by_sent ON canvas.message (sent_at);
CREATE INDEX message_by_change ON canvas.message (_changed_at);

COMMENT ON TABLE canvas.message IS 'One row per FHIR Communication. Start from canvas.live_message unless you want drafts, scheduled or deleted messages too.';
COMMENT ON COLUMN canvas.message.id IS 'Communication.id: a dashed UUID at Canvas. The key.';
COMMENT ON COLUMN canvas.message.status IS 'Communication.status as received: completed, preparation, in-progress, unknown, …';
COMMENT ON COLUMN canvas.message.delivery IS 'What status means: sent, draft (preparation), scheduled (in-progress, on-hold), void (not-done, stopped, entered-in-error), or unknown. A practitioner''s message with status unknown may be a draft.';
COMMENT ON COLUMN canvas.message.direction IS 'patient_to_practitioner, practitioner_to_patient, or unknown where a side is missing or of another kind.';
COMMENT ON COLUMN canvas.message.patient_id IS 'The patient''s id (32 hex digits at Canvas), whichever side the patient is on.';
COMMENT ON COLUMN canvas.message.practitioner_id IS 'The practitioner''s id (32 hex digits at Canvas), whichever side the practitioner is on.';
COMMENT ON COLUMN canvas.message.sender_type IS 'Resource type of Communication.sender, such as Patient.';
COMMENT ON COLUMN canvas.message.sender_id IS 'Id of Communication.sender.';
COMMENT ON COLUMN canvas.message.recipient_type IS 'Resource type of the first Communication.recipient.';
COMMENT ON COLUMN canvas.message.recipient_id IS 'Id of the first Communication.recipient; several are in canvas.message_recipient.';
COMMENT ON COLUMN canvas.message.sent_at IS 'Communication.sent. Supplied by the client on create, so it may be backdated; may be missing.';
COMMENT ON COLUMN canvas.message.received_at IS 'Communication.received. On messages to practitioners it is set when somebody marks them as read, so it changes later; never set on messages sent from the Canvas UI to a patient.';
COMMENT ON COLUMN canvas.message.body_text IS 'What a person reading the message saw. Several payloads are joined by a blank line. Null if there was no content.';
COMMENT ON COLUMN canvas.message.body_html IS 'The body as HTML that is safe to embed: nothing runs, nothing is fetched. Embed it in a box with overflow:auto, which cuts what is wider or larger than the box. Null for plain text, for HTML that could not be read in 2 seconds of computing and 300 MB of memory (_quality has over_caps), and where our own code failed (defect).';
COMMENT ON COLUMN canvas.message.body_format IS 'html or plain: how the body was read. Null if there was no content, or if our own code failed to decide it (_quality has defect).';
COMMENT ON COLUMN canvas.message.body_format_basis IS 'Which rule decided body_format: before_cutoff, no_markup, cutoff_hour, no_sent or after_cutoff, the first that applies. Null where body_format is.';
COMMENT ON COLUMN canvas.message.payload_count IS 'How many payloads the Communication has; with several, each is in canvas.message_payload.';
COMMENT ON COLUMN canvas.message._run_id IS 'The run that last wrote this row (canvas_ops.run).';
COMMENT ON COLUMN canvas.message._first_seen_at IS 'When the mirror first had this message.';
COMMENT ON COLUMN canvas.message._changed_at IS 'When the mirror last learnt of a change. Read incrementally by it, up to canvas.freshness.settled_at and no further.';
COMMENT ON COLUMN canvas.message._deleted_at IS 'When the mirror learnt that the source no longer has this message. Null while it is there.';
COMMENT ON COLUMN canvas.message._content_hash IS 'Hash of the canonical resource, without meta and text. Only its change makes a version.';
COMMENT ON COLUMN canvas.message._rules_version IS 'Version of the transform rules, cutoff included, that derived this row. Ends in +defect if our own code failed on it: replay derives it anew.';
COMMENT ON COLUMN canvas.message._quality IS 'What is odd about this message, in words that canvas.quality counts: odd_date, defect, partial, over_caps, markup_before_cutoff. Empty for most.';

CREATE TABLE canvas.message_recipient (
    message_id     text    COLLATE "C" NOT NULL REFERENCES canvas.message (id) ON DELETE CASCADE,
    position       integer NOT NULL CHECK (position >= 1),
    recipient_type text    COLLATE "C",
    recipient_id   text    COLLATE "C",
    PRIMARY KEY (message_id, position)
);

COMMENT ON TABLE canvas.message_recipient IS 'The recipients of messages that have several, in the order of the resource. Messages with one recipient are not in here.';
COMMENT ON COLUMN canvas.message_recipient.message_id IS 'canvas.message.id.';
COMMENT ON COLUMN canvas.message_recipient.position IS 'Place in Communication.recipient, from 1.';
COMMENT ON COLUMN canvas.message_recipient.recipient_type IS 'Resource type of the recipient, such as Patient.';
COMMENT ON COLUMN canvas.message_recipient.recipient_id IS 'Id of the recipient.';

CREATE TABLE canvas.message_payload (
    message_id        text    COLLATE "C" NOT NULL REFERENCES canvas.message (id) ON DELETE CASCADE,
    position          integer NOT NULL CHECK (position >= 1),
    body_text         text,
    body_html         text,
    body_format       text    CHECK (body_format IN ('html', 'plain')),
    body_format_basis text    CHECK (body_format_basis IN ('before_cutoff', 'no_markup', 'cutoff_hour', 'no_sent', 'after_cutoff')),
    PRIMARY KEY (message_id, position)
);

COMMENT ON TABLE canvas.message_payload IS 'The payloads of messages that have several, in the order of the resource. Messages with one payload are not in here.';
COMMENT ON COLUMN canvas.message_payload.message_id IS 'canvas.message.id.';
COMMENT ON COLUMN canvas.message_payload.position IS 'Place in Communication.payload, from 1.';
COMMENT ON COLUMN canvas.message_payload.body_text IS 'What a person reading this payload saw. Null if it has no contentString.';
COMMENT ON COLUMN canvas.message_payload.body_html IS 'This payload as HTML, as canvas.message.body_html.';
COMMENT ON COLUMN canvas.message_payload.body_format IS 'html or plain. Null if there is no content.';
COMMENT ON COLUMN canvas.message_payload.body_format_basis IS 'Which rule decided body_format.';

-- Past versions only: the present one is the row of canvas.message, so a first load writes nothing here.
CREATE TABLE canvas.message_history (
    id                text        COLLATE "C" NOT NULL,
    status            text,
    delivery          text        NOT NULL,
    direction         text        NOT NULL,
    patient_id        text        COLLATE "C",
    practitioner_id   text        COLLATE "C",
    sender_type       text        COLLATE "C",
    sender_id         text        COLLATE "C",
    recipient_type    text        COLLATE "C",
    recipient_id      text        COLLATE "C",
    sent_at           timestamptz,
    received_at       timestamptz,
    body_text         text,
    body_html         text,
    body_format       text,
    body_format_basis text,
    payload_count     integer     NOT NULL,
    _run_id           bigint      NOT NULL,
    _known_from       timestamptz NOT NULL,
    _known_to         timestamptz NOT NULL,
    _deleted_at       timestamptz,
    _content_hash     bytea       NOT NULL,
    _rules_version    text        NOT NULL,
    _quality          text[]      NOT NULL DEFAULT '{}',
    PRIMARY KEY (id, _known_from),
    CHECK (_known_to > _known_from)
);

COMMENT ON TABLE canvas.message_history IS 'Past versions of messages: what the mirror knew, and from when to when it knew it (not when it happened). The present version is in canvas.message.';
COMMENT ON COLUMN canvas.message_history.id IS 'canvas.message.id.';
COMMENT ON COLUMN canvas.message_history.status IS 'As in canvas.message, then.';
COMMENT ON COLUMN canvas.message_history.delivery IS 'As in canvas.message, then.';
COMMENT ON COLUMN canvas.message_history.direction IS 'As in canvas.message, then.';
COMMENT ON COLUMN canvas.message_history.patient_id IS 'As in canvas.message, then.';
COMMENT ON COLUMN canvas.message_history.practitioner_id IS 'As in canvas.message, then.';
COMMENT ON COLUMN canvas.message_history.sender_type IS 'As in canvas.message, then.';
COMMENT ON COLUMN canvas.message_history.sender_id IS 'As in canvas.message, then.';
COMMENT ON COLUMN canvas.message_history.recipient_type IS 'As in canvas.message, then.';
COMMENT ON COLUMN canvas.message_history.recipient_id IS 'As in canvas.message, then.';
COMMENT ON COLUMN canvas.message_history.sent_at IS 'As in canvas.message, then.';
COMMENT ON COLUMN canvas.message_history.received_at IS 'As in canvas.message, then.';
COMMENT ON COLUMN canvas.message_history.body_text IS 'As in canvas.message, then.';
COMMENT ON COLUMN canvas.message_history.body_html IS 'As in canvas.message, then.';
COMMENT ON COLUMN canvas.message_history.body_format IS 'As in canvas.message, then.';
COMMENT ON COLUMN canvas.message_history.body_format_basis IS 'As in canvas.message, then.';
COMMENT ON COLUMN canvas.message_history.payload_count IS 'As in canvas.message, then.';
COMMENT ON COLUMN canvas.message_history._run_id IS 'The run that wrote this version.';
COMMENT ON COLUMN canvas.message_history._known_from IS 'When the mirror learnt of this version.';
COMMENT ON COLUMN canvas.message_history._known_to IS 'When the mirror learnt that it was no longer so.';
COMMENT ON COLUMN canvas.message_history._deleted_at IS 'Set if this version said that the source no longer had the message.';
COMMENT ON COLUMN canvas.message_history._content_hash IS 'Hash of this version''s canonical resource; with id the key of canvas_ops.communication.';
COMMENT ON COLUMN canvas.message_history._rules_version IS 'Version of the transform rules that derived these columns.';
COMMENT ON COLUMN canvas.message_history._quality IS 'As in canvas.message, then.';

CREATE TABLE canvas.practitioner (
    id             text        COLLATE "C" PRIMARY KEY,
    active         boolean,
    in_roster      boolean     NOT NULL,
    name           text,
    _run_id        bigint      NOT NULL,
    _first_seen_at timestamptz NOT NULL,
    _changed_at    timestamptz NOT NULL
);

COMMENT ON TABLE canvas.practitioner IS 'Every practitioner whose messages are searched for: those of the Practitioner roster, and those discovered in messages only.';
COMMENT ON COLUMN canvas.practitioner.id IS 'Practitioner.id (32 hex digits at Canvas).';
COMMENT ON COLUMN canvas.practitioner.active IS 'Practitioner.active. Null for one discovered in messages only.';
COMMENT ON COLUMN canvas.practitioner.in_roster IS 'Whether the last accepted roster listed this practitioner.';
COMMENT ON COLUMN canvas.practitioner.name IS 'Name as text. Null unless MIRROR_PRACTITIONER_NAMES is on.';
COMMENT ON COLUMN canvas.practitioner._run_id IS 'The run that last wrote this row.';
COMMENT ON COLUMN canvas.practitioner._first_seen_at IS 'When the mirror first knew of this practitioner.';
COMMENT ON COLUMN canvas.practitioner._changed_at IS 'When the mirror last learnt of a change.';

-- What the worker keeps for itself ---------------------------------------------------------------------------------
-- Analysts have no business here: quarantine and communication hold whole messages.

CREATE TABLE canvas_ops.migration (
    name       text        COLLATE "C" PRIMARY KEY,
    checksum   text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

COMMENT ON TABLE canvas_ops.migration IS 'The files below sql/ that these schemas were made with: schema and migrations once, views again whenever they change.';
COMMENT ON COLUMN canvas_ops.migration.name IS 'File name below sql/, without .sql. Migrations that schema already contained when it was applied are here, too.';
COMMENT ON COLUMN canvas_ops.migration.checksum IS 'SHA-256 of the file. An applied migration whose file has changed stops the worker.';
COMMENT ON COLUMN canvas_ops.migration.applied_at IS 'When it was applied.';

CREATE TABLE canvas_ops.source (
    only_row boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    instance text        NOT NULL,
    bound_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE canvas_ops.source IS 'One row: the Canvas instance this schema belongs to. Messages of two instances never mix.';
COMMENT ON COLUMN canvas_ops.source.only_row IS 'Always true: keeps the table to one row.';
COMMENT ON COLUMN canvas_ops.source.instance IS 'CANVAS_INSTANCE of the first run, by default the host of the FHIR URL.';
COMMENT ON COLUMN canvas_ops.source.bound_at IS 'When the first run bound the schema.';

-- Most resources fit a page; compressing them costs more time than it saves space.
CREATE TABLE canvas_ops.communication (
    id             text        COLLATE "C" NOT NULL,
    _content_hash  bytea       NOT NULL,
    resource       bytea       NOT NULL,
    _run_id        bigint      NOT NULL,
    _first_seen_at timestamptz NOT NULL,
    PRIMARY KEY (id, _content_hash)
) WITH (toast_tuple_target = 8160);

COMMENT ON TABLE canvas_ops.communication IS 'Every version of every resource as received, so that derived columns can be made anew without the source.';
COMMENT ON COLUMN canvas_ops.communication.id IS 'Communication.id.';
COMMENT ON COLUMN canvas_ops.communication._content_hash IS 'Hash of the canonical resource, without meta and text.';
COMMENT ON COLUMN canvas_ops.communication.resource IS 'The resource''s JSON, byte for byte (bytea: it may hold what text cannot).';
COMMENT ON COLUMN canvas_ops.communication._run_id IS 'The run that first had this version.';
COMMENT ON COLUMN canvas_ops.communication._first_seen_at IS 'When the mirror first had this version.';

CREATE TYPE canvas_ops.message_fields AS (
    status            text,
    delivery          text,
    direction         text,
    patient_id        text COLLATE "C",
    practitioner_id   text COLLATE "C",
    sender_type       text COLLATE "C",
    sender_id         text COLLATE "C",
    recipient_type    text COLLATE "C",
    recipient_id      text COLLATE "C",
    sent_at           timestamptz,
    received_at       timestamptz,
    body_text         text,
    body_html         text,
    body_format       text,
    body_format_basis text,
    payload_count     integer
);

CREATE FUNCTION canvas_ops.fields_of(message json) RETURNS canvas_ops.message_fields
STABLE
RETURN json_populate_record(NULL::canvas_ops.message_fields, message);

COMMENT ON TYPE canvas_ops.message_fields IS 'The columns of canvas.message that an analyst sees, to compare a row with what the source shows.';
COMMENT ON FUNCTION canvas_ops.fields_of IS 'These columns, of a row of canvas.message or of the stage as JSON.';

CREATE TABLE canvas_ops.run (
    id                bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job               text        COLLATE "C" NOT NULL CHECK (job IN ('sync', 'backfill', 'verify', 'replay', 'erase')),
    scope             text        NOT NULL CHECK (scope IN ('full', 'quick', 'selected')),
    selection_key     text        COLLATE "C" NOT NULL,
    version           text        NOT NULL,
    started_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    held_since        timestamptz NOT NULL DEFAULT clock_timestamp(),
    planned_at        timestamptz,
    closed_at         timestamptz,
    outcome           text        CHECK (outcome IN ('complete', 'incomplete', 'failed', 'interrupted')),
    reason            text,
    as_of             timestamptz,
    searches          bigint,
    searches_accepted bigint,
    entries           bigint,
    new          bigint,
    changed           bigint,
    unseen            bigint,
    outside           bigint,
    quarantined       bigint,
    deleted           bigint,
    held              bigint,
    roster            integer,
    requests          bigint      NOT NULL DEFAULT 0,
    CHECK ((closed_at IS NULL) = (outcome IS NULL))
);

CREATE INDEX run_open ON canvas_ops.run (id) WHERE closed_at IS NULL;
-- Of each job at most one run of a selection is open: a run whose beginning was answered into a lost connection is not
-- begun twice.
CREATE UNIQUE INDEX run_open_once ON canvas_ops.run (job, selection_key) WHERE closed_at IS NULL;
CREATE INDEX run_held_last ON canvas_ops.run (held_since, id);

COMMENT ON TABLE canvas_ops.run IS 'One row per run. It is closed last: an open row while nobody holds the run lock is an abandoned run.';
COMMENT ON COLUMN canvas_ops.run.id IS 'Number of the run.';
COMMENT ON COLUMN canvas_ops.run.job IS 'sync, backfill, verify, replay or erase.';
COMMENT ON COLUMN canvas_ops.run.scope IS 'full (every practitioner), quick, or selected.';
COMMENT ON COLUMN canvas_ops.run.selection_key IS 'Key of what was asked for. An abandoned run is resumed by the next one that asks for the same.';
COMMENT ON COLUMN canvas_ops.run.version IS 'Version of the worker.';
COMMENT ON COLUMN canvas_ops.run.started_at IS 'When the run began.';
COMMENT ON COLUMN canvas_ops.run.held_since IS 'When a process last began or resumed the run. Since then nothing that ran before, in this run or another, has a row under way. Later than that of any run before, whatever the clock said.';
COMMENT ON COLUMN canvas_ops.run.planned_at IS 'When its work list (canvas_ops.search) was whole. Null: it was not yet.';
COMMENT ON COLUMN canvas_ops.run.closed_at IS 'When the run was closed. Null while it is open.';
COMMENT ON COLUMN canvas_ops.run.outcome IS 'complete: everything asked for was accepted. incomplete: some searches were not, or see reason. failed: no search was accepted. interrupted: it was abandoned, and not resumed.';
COMMENT ON COLUMN canvas_ops.run.reason IS 'Why it was not complete, or proved nothing, beside the reasons of its searches: quarantine, too_many, source_unreliable, … Null if there is nothing to say.';
COMMENT ON COLUMN canvas_ops.run.as_of IS 'Start of the oldest accepted walk. If the outcome is complete, every message that did not change at the source since then is in the mirror.';
COMMENT ON COLUMN canvas_ops.run.searches IS 'Searches of the run, its roster''s included.';
COMMENT ON COLUMN canvas_ops.run.searches_accepted IS 'How many of them were accepted.';
COMMENT ON COLUMN canvas_ops.run.entries IS 'Communication entries that the last walk of each search was served, accepted or not. Each is new, changed, unchanged, outside, or went to quarantine: unchanged = entries - new - changed - outside - quarantined.';
COMMENT ON COLUMN canvas_ops.run.new IS 'New messages: the mirror did not have them. Those that came out of quarantine are included.';
COMMENT ON COLUMN canvas_ops.run.changed IS 'Changed messages: the mirror had another version, or had them as deleted.';
COMMENT ON COLUMN canvas_ops.run.unseen IS 'How many of the changed messages changed in no column that an analyst sees.';
COMMENT ON COLUMN canvas_ops.run.outside IS 'Entries outside the window of a backfill (--since, --until), which were not landed.';
COMMENT ON COLUMN canvas_ops.run.quarantined IS 'Entries newly put in quarantine.';
COMMENT ON COLUMN canvas_ops.run.deleted IS 'Messages marked as deleted, because the source no longer has them.';
COMMENT ON COLUMN canvas_ops.run.held IS 'Messages that are gone at the source and were not marked as deleted, since that looks like a smaller scope of the client (canvas_ops.held).';
COMMENT ON COLUMN canvas_ops.run.roster IS 'How many practitioners the roster named, active or not. Null if it was not read, not accepted or not believed.';
COMMENT ON COLUMN canvas_ops.run.requests IS 'Requests to the source, counted while the run is under way, in every process that worked on it.';

CREATE FUNCTION canvas_ops.time_of_run(run_id bigint) RETURNS timestamptz
STABLE
RETURN greatest(now(), (SELECT r.held_since + interval '1 microsecond' FROM canvas_ops.run AS r WHERE r.id = run_id));

COMMENT ON FUNCTION canvas_ops.time_of_run IS 'When something that this run writes now is learnt: now, or just after the run was resumed if the clock has been put back since. So a run never writes an earlier time than the runs before it, up to which an incremental reader has read.';

CREATE TABLE canvas_ops.search (
    id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id          bigint      NOT NULL REFERENCES canvas_ops.run (id) ON DELETE CASCADE,
    resource        text        COLLATE "C" NOT NULL CHECK (resource IN ('Communication', 'Practitioner', 'Patient')),
    parameter       text        COLLATE "C" NOT NULL,
    value           text        COLLATE "C" NOT NULL,
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
    new        bigint      NOT NULL DEFAULT 0,
    changed         bigint      NOT NULL DEFAULT 0,
    unseen          bigint      NOT NULL DEFAULT 0,
    outside         bigint      NOT NULL DEFAULT 0,
    quarantined     bigint      NOT NULL DEFAULT 0,
    landings        integer     NOT NULL DEFAULT 0,
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
COMMENT ON COLUMN canvas_ops.search.place IS 'Order in which searches are claimed: those that had most messages last time first.';
COMMENT ON COLUMN canvas_ops.search.status IS 'pending, walking, accepted, or not_accepted after all its walks.';
COMMENT ON COLUMN canvas_ops.search.lease_token IS 'The token of the worker that walks it. A worker whose token is gone lands nothing.';
COMMENT ON COLUMN canvas_ops.search.leased_until IS 'From then on another worker may claim it.';
COMMENT ON COLUMN canvas_ops.search.walks IS 'How often a walk was begun.';
COMMENT ON COLUMN canvas_ops.search.walk_started_at IS 'When the last walk was begun.';
COMMENT ON COLUMN canvas_ops.search.finished_at IS 'When it was accepted or given up.';
COMMENT ON COLUMN canvas_ops.search.reason IS 'Why the last walk was not accepted, in one word.';
COMMENT ON COLUMN canvas_ops.search.total IS 'Bundle.total of the last walk.';
COMMENT ON COLUMN canvas_ops.search.pages IS 'Pages of the last walk.';
COMMENT ON COLUMN canvas_ops.search.entries IS 'Distinct entries of the last walk.';
COMMENT ON COLUMN canvas_ops.search.new IS 'New messages, over all walks: the mirror did not have them.';
COMMENT ON COLUMN canvas_ops.search.changed IS 'Changed messages, over all walks: the mirror had another version, or had them as deleted.';
COMMENT ON COLUMN canvas_ops.search.unseen IS 'How many of the changed messages changed in no column that an analyst sees.';
COMMENT ON COLUMN canvas_ops.search.outside IS 'Entries of the last walk outside the window (--since, --until), which were not landed.';
COMMENT ON COLUMN canvas_ops.search.quarantined IS 'Entries newly put in quarantine, over all walks.';
COMMENT ON COLUMN canvas_ops.search.landings IS 'How many batches of it were landed, over all walks. A standby that lags and takes over may take some of them back: whoever goes on with the walk notices by this number.';

CREATE TABLE canvas_ops.fingerprint (
    parameter      text        COLLATE "C" NOT NULL,
    value          text        COLLATE "C" NOT NULL,
    ids            text[]      COLLATE "C" NOT NULL,
    raw_hashes     bytea[]     NOT NULL,
    content_hashes bytea[]     NOT NULL,
    total          bigint      NOT NULL,
    _run_id        bigint      NOT NULL,
    _taken_at     timestamptz NOT NULL,
    PRIMARY KEY (parameter, value),
    CHECK (cardinality(ids) = cardinality(raw_hashes) AND cardinality(ids) = cardinality(content_hashes))
);

COMMENT ON TABLE canvas_ops.fingerprint IS 'The fingerprint of a search: what its last accepted walk saw, so that unchanged entries are skipped before they are decoded. May be emptied at any time: the next run then decodes everything.';
COMMENT ON COLUMN canvas_ops.fingerprint.parameter IS 'Search parameter, as in canvas_ops.search.';
COMMENT ON COLUMN canvas_ops.fingerprint.value IS 'Value of the parameter.';
COMMENT ON COLUMN canvas_ops.fingerprint.ids IS 'Ids of the usable entries.';
COMMENT ON COLUMN canvas_ops.fingerprint.raw_hashes IS 'Hash of each entry''s bytes, in the order of ids.';
COMMENT ON COLUMN canvas_ops.fingerprint.content_hashes IS '_content_hash of each, in the order of ids: an entry is skipped only while its row still holds just that.';
COMMENT ON COLUMN canvas_ops.fingerprint.total IS 'Bundle.total of that walk: more than ids if some entries were not usable.';
COMMENT ON COLUMN canvas_ops.fingerprint._run_id IS 'The run that wrote it.';
COMMENT ON COLUMN canvas_ops.fingerprint._taken_at IS 'When it was written.';

CREATE TABLE canvas_ops.quarantine (
    raw_hash       bytea       PRIMARY KEY,
    message_id     text        COLLATE "C",
    reason         text        NOT NULL,
    entry          bytea       NOT NULL,
    parameter      text        COLLATE "C" NOT NULL,
    value          text        COLLATE "C" NOT NULL,
    _run_id        bigint      NOT NULL,
    _first_seen_at timestamptz NOT NULL,
    _last_run_id   bigint      NOT NULL,
    _last_seen_at  timestamptz NOT NULL,
    resolved_at    timestamptz,
    accepted_at    timestamptz,
    accepted_by    text
);

CREATE INDEX quarantine_open ON canvas_ops.quarantine (message_id) WHERE resolved_at IS NULL;

COMMENT ON TABLE canvas_ops.quarantine IS 'Entries that cannot be a row, kept whole. Holds patients'' words.';
COMMENT ON COLUMN canvas_ops.quarantine.raw_hash IS 'Hash of the entry''s bytes: seeing it again adds nothing.';
COMMENT ON COLUMN canvas_ops.quarantine.message_id IS 'Communication.id, where one could be read.';
COMMENT ON COLUMN canvas_ops.quarantine.reason IS 'Why, in one word: no_id, impossible_date, nul_character, …';
COMMENT ON COLUMN canvas_ops.quarantine.entry IS 'The entry''s JSON, byte for byte.';
COMMENT ON COLUMN canvas_ops.quarantine.parameter IS 'Parameter of the search that first served it.';
COMMENT ON COLUMN canvas_ops.quarantine.value IS 'Value of that parameter.';
COMMENT ON COLUMN canvas_ops.quarantine._run_id IS 'The run that was first served it.';
COMMENT ON COLUMN canvas_ops.quarantine._first_seen_at IS 'When it was first served.';
COMMENT ON COLUMN canvas_ops.quarantine._last_run_id IS 'The run that was last served it.';
COMMENT ON COLUMN canvas_ops.quarantine._last_seen_at IS 'When it was last served.';
COMMENT ON COLUMN canvas_ops.quarantine.resolved_at IS 'When it was overtaken: a usable version of the same message landed, the message was marked as deleted, or the search that had served the entry no longer does. Null while it is open.';
COMMENT ON COLUMN canvas_ops.quarantine.accepted_at IS 'When an operator accepted it (message-mirror quarantine accept): it is no longer a reason for an incomplete run.';
COMMENT ON COLUMN canvas_ops.quarantine.accepted_by IS 'Who did: user@host.';

CREATE TABLE canvas_ops.suppressed (
    kind          text        COLLATE "C" NOT NULL CHECK (kind IN ('patient', 'message')),
    id            text        COLLATE "C" NOT NULL,
    suppressed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, id)
);

COMMENT ON TABLE canvas_ops.suppressed IS 'Patients and messages that must not be landed again. Whatever a source still serves of them is passed over.';
COMMENT ON COLUMN canvas_ops.suppressed.kind IS 'patient or message.';
COMMENT ON COLUMN canvas_ops.suppressed.id IS 'Id of the patient or of the message.';
COMMENT ON COLUMN canvas_ops.suppressed.suppressed_at IS 'Since when.';

-- Deletions that look like a client whose scope shrank are held: the messages stay live until an operator accepts that.
CREATE TABLE canvas_ops.held (
    id      text   COLLATE "C" PRIMARY KEY,
    _run_id bigint NOT NULL
);

COMMENT ON TABLE canvas_ops.held IS 'Live messages that the source no longer knows by id, and that are not marked as deleted: they are all of a patient''s or of a practitioner''s, or of a patient whom the source no longer lists. The next full complete run decides anew.';
COMMENT ON COLUMN canvas_ops.held.id IS 'canvas.message.id.';
COMMENT ON COLUMN canvas_ops.held._run_id IS 'The run that held it.';

-- Not logged: an abandoned verification is not resumed, but begun again.
CREATE UNLOGGED TABLE canvas_ops.sighting (
    run_id          bigint      NOT NULL REFERENCES canvas_ops.run (id) ON DELETE CASCADE,
    pass            smallint    NOT NULL,
    key             text        COLLATE "C" NOT NULL,
    search          integer     NOT NULL,
    message_id      text        COLLATE "C",
    content_hash    bytea,
    practitioner_id text        COLLATE "C",
    sent_at         timestamptz,
    row_differs     boolean     NOT NULL,
    PRIMARY KEY (run_id, pass, key, search)
);

COMMENT ON TABLE canvas_ops.sighting IS 'Entries that a verification was shown by the patients'' searches, one row per entry, search and pass. Emptied when the next one begins.';
COMMENT ON COLUMN canvas_ops.sighting.run_id IS 'The verification.';
COMMENT ON COLUMN canvas_ops.sighting.pass IS 'Its pass, from 1: two must agree.';
COMMENT ON COLUMN canvas_ops.sighting.key IS 'The message''s id; for an entry without one, the hash of its bytes.';
COMMENT ON COLUMN canvas_ops.sighting.search IS 'The search that showed it, by its number in the pass: a message to two patients is in the searches of both.';
COMMENT ON COLUMN canvas_ops.sighting.message_id IS 'The message''s id. Null for an entry without one.';
COMMENT ON COLUMN canvas_ops.sighting.content_hash IS 'Hash of the canonical resource. Null for an entry that cannot be a row.';
COMMENT ON COLUMN canvas_ops.sighting.practitioner_id IS 'The message''s practitioner.';
COMMENT ON COLUMN canvas_ops.sighting.sent_at IS 'The message''s sent time.';
COMMENT ON COLUMN canvas_ops.sighting.row_differs IS 'Same content, and yet a column of the row is not what it should be; or an unusable entry that is not in quarantine.';

CREATE TABLE canvas_ops.wanted (
    id        text        COLLATE "C" PRIMARY KEY,
    _run_id   bigint      NOT NULL,
    wanted_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE canvas_ops.wanted IS 'Messages that a verification found missing in the mirror, or of another version there: the next sync asks for them by id.';
COMMENT ON COLUMN canvas_ops.wanted.id IS 'Communication.id.';
COMMENT ON COLUMN canvas_ops.wanted._run_id IS 'The verification that found it.';
COMMENT ON COLUMN canvas_ops.wanted.wanted_at IS 'Since when.';

-- Sync skips a row that somebody altered in the warehouse, since its source has not changed, and replay does, since its
-- rules have not: this table tells replay.
CREATE TABLE canvas_ops.altered (
    id       text        COLLATE "C" PRIMARY KEY,
    _run_id  bigint      NOT NULL,
    found_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE canvas_ops.altered IS 'Messages of which a verification found that columns of their row are not what the resource says: the next replay writes them anew.';
COMMENT ON COLUMN canvas_ops.altered.id IS 'Communication.id.';
COMMENT ON COLUMN canvas_ops.altered._run_id IS 'The verification that found it.';
COMMENT ON COLUMN canvas_ops.altered.found_at IS 'Since when.';
