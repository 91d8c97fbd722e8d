"""The main job, end to end: what a source serves is what the tables hold, and nothing is written twice."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.integration.mirroring import (
    PATIENT,
    PRACTITIONER,
    PlainSource,
    ids_of,
    message,
    mirror_settings,
    places_of,
    searchset,
)
from worker.jobs.backfill import backfill
from worker.jobs.run.plan import Outcome, Selection
from worker.jobs.sync import sync
from worker.sandbox.population import Practitioner, make_clinic
from worker.sandbox.sandbox_server import SandboxServer
from worker.transform.safe_html.sanitize import safe_html
from worker.transform.text.innertext import inner_text

if TYPE_CHECKING:
    import asyncpg

    from worker.sandbox.population import Clinic, Edition, Resource

EXAMPLE = {
    "resourceType": "Communication",
    "id": "7433b4b2-0d18-45ca-bb12-71105c80386b",
    "status": "unknown",
    "sent": "2021-03-21T10:46:17+00:00",
    "received": "2022-03-14T12:03:58.958000+00:00",
    "recipient": [{"reference": "Patient/4c21512185184e579b09bfac16dfdd2f", "type": "Patient"}],
    "sender": {"reference": "Practitioner/4150cd20de8a470aa570a852859ac87e", "type": "Practitioner"},
    "payload": [{"contentString": "Similique amet at est necessitatibus repellendus eius."}],
}
DELIVERY = {"completed": "sent", "preparation": "draft", "in-progress": "scheduled", "unknown": "unknown"}
HTML_CERTAIN = datetime(2022, 10, 27, 1, tzinfo=UTC)
PLAIN_CERTAIN = datetime(2022, 10, 27, 0, tzinfo=UTC)
FIELDS = (
    "id", "status", "delivery", "direction", "patient_id", "practitioner_id", "sender_type", "sender_id",
    "recipient_type", "recipient_id", "sent_at", "received_at", "payload_count",
)  # fmt: skip


def small_clinic(edition: Edition = "seed", messages: int = 400) -> Clinic:
    return make_clinic(messages=messages, practitioners=8, patients=40, seed=3, edition=edition)


def entry_of(resource: Resource) -> bytes:
    return json.dumps({"resource": resource}).encode()


def instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def expected(resource: Resource) -> tuple[Any, ...]:
    """Return the values of `FIELDS`, worked out from the resource without the mirror's code."""
    sender_type, sender_id = resource["sender"]["reference"].split("/")
    (recipient,) = resource["recipient"]
    recipient_type, recipient_id = recipient["reference"].split("/")
    from_patient = sender_type == "Patient"
    return (
        resource["id"],
        resource["status"],
        DELIVERY[resource["status"]],
        "patient_to_practitioner" if from_patient else "practitioner_to_patient",
        sender_id if from_patient else recipient_id,
        recipient_id if from_patient else sender_id,
        sender_type,
        sender_id,
        recipient_type,
        recipient_id,
        instant(resource.get("sent")),
        instant(resource.get("received")),
        1,
    )


@pytest.mark.parametrize("edition", ["seed", "current"])
async def test_rows_equal_the_served_resources(
    edition: Edition, database_dsn: str, database: asyncpg.Connection
) -> None:
    """Every served message is a row, id by id and field by field, and there is no other row."""
    clinic = small_clinic(edition)
    async with SandboxServer(clinic) as server:
        result = await sync(mirror_settings(server.url, database_dsn))
    assert (result.outcome, result.sums.new, result.sums.quarantined) == (Outcome.COMPLETE, 400, 0)

    served = {resource["id"]: resource for resource in clinic}
    rows = {row["id"]: row for row in await database.fetch("SELECT * FROM canvas.message")}
    assert rows.keys() == served.keys()
    for message_id, resource in served.items():
        row = rows[message_id]
        assert tuple(row[field] for field in FIELDS) == expected(resource)
        assert_body(row, resource["payload"][0]["contentString"])

    assert {row["direction"] for row in rows.values()} == {"patient_to_practitioner", "practitioner_to_patient"}
    assert {row["body_format"] for row in rows.values()} == {"plain", "html"}
    assert any(row["received_at"] and row["received_at"].microsecond for row in rows.values())
    hidden = {one.id for one in clinic.practitioners.values() if not (one.active and one.schedulable)}
    assert {one.active for one in clinic.practitioners.values() if one.id in hidden} == {True, False}
    assert hidden <= {row["practitioner_id"] for row in rows.values()}


def assert_body(row: asyncpg.Record, content: str) -> None:
    """Plain bodies are untouched, HTML ones are what a reader saw; a certain date decides which of them it is."""
    if row["body_format"] == "plain":
        assert (row["body_text"], row["body_html"]) == (content, None)
    else:
        assert (row["body_text"], row["body_html"]) == (inner_text(content), safe_html(content))
    if row["sent_at"] and row["sent_at"] < PLAIN_CERTAIN:
        assert row["body_format"] == "plain"
    elif row["sent_at"] and row["sent_at"] >= HTML_CERTAIN and content.startswith(("<p", "<div")):
        assert row["body_format"] == "html"


async def test_the_resources_are_kept_as_they_were_served(database_dsn: str, database: asyncpg.Connection) -> None:
    """`canvas_ops.communication` holds one version of each message, whose bytes read as the served JSON."""
    clinic = small_clinic("current")
    async with SandboxServer(clinic) as server:
        await sync(mirror_settings(server.url, database_dsn))
    kept = await database.fetch(
        "SELECT c.id, c.resource FROM canvas_ops.communication AS c"
        " JOIN canvas.message AS m ON m.id = c.id AND m._content_hash = c._content_hash"
    )
    assert len(kept) == await database.fetchval("SELECT count(*) FROM canvas_ops.communication") == 400
    assert {row["id"]: json.loads(row["resource"]) for row in kept} == {one["id"]: one for one in clinic}


async def test_live_message_and_freshness_after_a_run(database_dsn: str, database: asyncpg.Connection) -> None:
    """Analysts start from what was sent or may have been, and read how fresh it is from the run that was complete."""
    clinic = small_clinic("current")
    async with SandboxServer(clinic) as server:
        result = await sync(mirror_settings(server.url, database_dsn))
    said = {one["id"] for one in clinic if one["status"] in {"completed", "unknown"}}
    assert said < {one["id"] for one in clinic}
    assert {row["id"] for row in await database.fetch("SELECT id FROM canvas.live_message")} == said
    fresh = await database.fetchrow("SELECT * FROM canvas.freshness")
    run = await database.fetchrow("SELECT * FROM canvas_ops.run")
    assert (fresh["last_complete_run_id"], fresh["as_of"]) == (result.run_id, run["as_of"])
    assert run["started_at"] <= run["as_of"] <= run["closed_at"]
    assert (fresh["messages"], fresh["messages_deleted"], fresh["quarantined"]) == (400, 0, 0)


async def test_the_documented_example_from_a_plain_server(database_dsn: str, database: asyncpg.Connection) -> None:
    """The example of Canvas's documentation, served by a server that shares no line with ours, is mirrored."""
    body = searchset([json.dumps({"resource": EXAMPLE}).encode()])
    async with PlainSource({("sender", f"Practitioner/{PRACTITIONER}"): body}, [PRACTITIONER]) as source:
        result = await sync(mirror_settings(source.url, database_dsn))
    assert result.outcome == Outcome.COMPLETE
    (row,) = await database.fetch("SELECT * FROM canvas.message")
    assert row["id"] == "7433b4b2-0d18-45ca-bb12-71105c80386b"
    assert row["sent_at"] == datetime(2021, 3, 21, 10, 46, 17, tzinfo=UTC)
    assert row["received_at"] == datetime(2022, 3, 14, 12, 3, 58, 958_000, tzinfo=UTC)
    assert (row["direction"], row["delivery"]) == ("practitioner_to_patient", "unknown")
    assert (row["patient_id"], row["practitioner_id"]) == (PATIENT, PRACTITIONER)
    assert (row["body_text"], row["body_html"]) == ("Similique amet at est necessitatibus repellendus eius.", None)
    assert (row["body_format"], row["body_format_basis"]) == ("plain", "before_cutoff")


async def test_round_trip(database_dsn: str, database: asyncpg.Connection) -> None:
    """A message created over HTTP is a row after the next backfill."""
    async with SandboxServer(small_clinic(messages=20)) as server, aiohttp.ClientSession(base_url=server.url) as http:
        settings = mirror_settings(server.url, database_dsn)
        await backfill(settings, Selection(by_patient=True))
        form = {
            "grant_type": "client_credentials",
            "client_id": server.client_id,
            "client_secret": server.client_secret,
        }
        async with http.post("/auth/token/", data=form) as answer:
            headers = {"Authorization": f"Bearer {(await answer.json())['access_token']}"}
        created = {key: value for key, value in EXAMPLE.items() if key != "id"} | {
            "payload": [{"contentString": "BP <120/80 & rising"}]
        }
        async with http.post("/Communication", json=created, headers=headers) as answer:
            assert answer.status == 201
            new_id = answer.headers["Location"].split("/Communication/")[1].split("/")[0]
        result = await backfill(settings, Selection(by_patient=True))
    assert (result.outcome, result.sums.new, result.sums.changed) == (Outcome.COMPLETE, 1, 0)
    assert (
        await database.fetchval("SELECT body_text FROM canvas.message WHERE id = $1", new_id) == "BP <120/80 & rising"
    )


async def test_a_second_run_writes_no_message(database_dsn: str, database: asyncpg.Connection) -> None:
    """On an unchanged source nothing is new, nothing changed, and no row of a message is touched, not even locked."""
    async with SandboxServer(small_clinic()) as server:
        settings = mirror_settings(server.url, database_dsn)
        await sync(settings)
        before = await places_of(database)
        locked = "SELECT count(*) FROM canvas.message WHERE xmax <> '0'"
        fingerprints = await database.fetch(
            "SELECT parameter, value, ctid::text FROM canvas_ops.fingerprint ORDER BY 1, 2"
        )
        result = await sync(settings)
    assert (result.outcome, result.sums.new, result.sums.changed) == (Outcome.COMPLETE, 0, 0)
    assert result.sums.entries == 400
    assert await places_of(database) == before
    assert await database.fetchval(locked) == 0
    assert await database.fetchval("SELECT count(*) FROM canvas.message_history") == 0
    assert (
        await database.fetch("SELECT parameter, value, ctid::text FROM canvas_ops.fingerprint ORDER BY 1, 2")
        == fingerprints
    )


async def test_a_first_load_is_analysed_and_no_other(database_dsn: str, database: asyncpg.Connection) -> None:
    """Else the planner takes the tables for empty."""
    known = "SELECT reltuples, relname FROM pg_class WHERE oid = ANY ($1::regclass[]) ORDER BY relname"
    tables = ["canvas.message", "canvas_ops.fingerprint"]
    async with SandboxServer(make_clinic(messages=60, practitioners=3, patients=5)) as server:
        settings = mirror_settings(server.url, database_dsn)
        await sync(settings)
        after_the_first = await database.fetch(known, tables)
        assert after_the_first[1]["reltuples"] == 60
        assert after_the_first[0]["reltuples"] > 0
        await database.execute("UPDATE pg_class SET reltuples = 61 WHERE relname = 'message'")
        await sync(settings)
    assert (await database.fetch(known, tables))[1]["reltuples"] == 61


async def test_without_marks_a_second_run_writes_no_message_either(
    database_dsn: str, database: asyncpg.Connection
) -> None:
    """Marks only save work: emptied, everything is decoded anew and still found unchanged."""
    async with SandboxServer(small_clinic()) as server:
        settings = mirror_settings(server.url, database_dsn)
        await sync(settings)
        before = await places_of(database)
        await database.execute("DELETE FROM canvas_ops.fingerprint")
        result = await sync(settings)
    assert (result.sums.new, result.sums.changed) == (0, 0)
    assert await places_of(database) == before


async def test_a_message_marked_as_read_makes_one_version(database_dsn: str, database: asyncpg.Connection) -> None:
    """A changed message alone is written; its past version is kept with the time in which it was what we knew."""
    clinic = small_clinic()
    unread = next(one for one in clinic if "received" not in one and one["sender"]["reference"].startswith("Patient/"))
    async with SandboxServer(clinic) as server:
        settings = mirror_settings(server.url, database_dsn)
        await sync(settings)
        before = await places_of(database)
        first = await database.fetchrow("SELECT * FROM canvas.message WHERE id = $1", unread["id"])
        clinic.put({**unread, "received": "2025-12-01T08:30:00.123456+00:00"})
        result = await sync(settings)
    assert (result.sums.new, result.sums.changed) == (0, 1)
    row = await database.fetchrow("SELECT * FROM canvas.message WHERE id = $1", unread["id"])
    assert row["received_at"] == datetime(2025, 12, 1, 8, 30, 0, 123_456, tzinfo=UTC)
    assert row["_first_seen_at"] == first["_first_seen_at"]
    assert row["_changed_at"] > first["_changed_at"]
    assert row["_run_id"] == result.run_id
    (past,) = await database.fetch("SELECT * FROM canvas.message_history")
    assert (past["id"], past["received_at"], past["_deleted_at"]) == (unread["id"], None, None)
    assert (past["_known_from"], past["_known_to"]) == (first["_changed_at"], row["_changed_at"])
    assert (past["_content_hash"], past["_run_id"]) == (first["_content_hash"], first["_run_id"])
    after = await places_of(database)
    assert {one for one in after if after[one] != before[one]} == {unread["id"]}
    versions = "SELECT count(*) FROM canvas_ops.communication WHERE id = $1"
    assert await database.fetchval(versions, unread["id"]) == 2


async def test_a_change_that_says_nothing_makes_no_version(database_dsn: str, database: asyncpg.Connection) -> None:
    """Another `meta`, `text` or rendering of the same instant is no change of the message."""
    clinic = small_clinic()
    chosen = next(one for one in clinic if "sent" in one)
    sent = datetime.fromisoformat(chosen["sent"])
    async with SandboxServer(clinic) as server:
        settings = mirror_settings(server.url, database_dsn)
        await sync(settings)
        before = await places_of(database)
        clinic.put(
            {
                **chosen,
                "meta": {"versionId": "7", "lastUpdated": "2025-12-01T08:30:00Z"},
                "text": {"status": "generated", "div": "<div>other</div>"},
                "sent": sent.isoformat().replace("+00:00", "Z"),
            }
        )
        result = await sync(settings)
    assert (result.outcome, result.sums.new, result.sums.changed) == (Outcome.COMPLETE, 0, 0)
    assert await places_of(database) == before
    assert await database.fetchval("SELECT count(*) FROM canvas_ops.communication") == 400


async def test_a_practitioner_met_in_messages_is_searched_from_then_on(
    database_dsn: str, database: asyncpg.Connection
) -> None:
    """Somebody whom no roster lists is met through a patient, and every later sync asks for their messages."""
    clinic = small_clinic(messages=20)
    stranger = "f" * 32
    sender = {"reference": f"Practitioner/{stranger}"}
    clinic.put(message("met", sender=sender))
    async with SandboxServer(clinic) as server:
        settings = mirror_settings(server.url, database_dsn)
        await sync(settings)
        assert "met" not in await ids_of(database)
        await backfill(settings, Selection(patients=(PATIENT,)))
        row = await database.fetchrow("SELECT * FROM canvas.practitioner WHERE id = $1", stranger)
        assert (row["active"], row["in_roster"]) == (None, False)
        clinic.put(message("later", sender=sender))
        result = await sync(settings)
    assert (result.outcome, result.sums.new) == (Outcome.COMPLETE, 1)
    assert {"met", "later"} <= await ids_of(database)


async def test_leaving_the_roster_and_coming_back(database_dsn: str, database: asyncpg.Connection) -> None:
    """Who is no longer listed is marked so and still searched for; who is listed again is back in the roster."""
    clinic = small_clinic(messages=20)
    leaver = clinic.practitioners[PRACTITIONER]
    seen = "SELECT active, in_roster FROM canvas.practitioner WHERE id = $1"
    async with SandboxServer(clinic) as server:
        settings = mirror_settings(server.url, database_dsn)
        await sync(settings)
        assert tuple(await database.fetchrow(seen, leaver.id)) == (True, True)
        del clinic.practitioners[leaver.id]
        clinic.put(message("after-leaving"))
        await sync(settings)
        assert tuple(await database.fetchrow(seen, leaver.id)) == (True, False)
        assert "after-leaving" in await ids_of(database)
        clinic.practitioners[leaver.id] = Practitioner(leaver.id, leaver.given, leaver.family, active=False)
        await sync(settings)
        assert tuple(await database.fetchrow(seen, leaver.id)) == (False, True)
    assert await database.fetchval("SELECT count(*) FROM canvas.practitioner WHERE name IS NOT NULL") == 0


async def test_practitioners_names_are_stored_only_if_asked_for(
    database_dsn: str, database: asyncpg.Connection
) -> None:
    """`MIRROR_PRACTITIONER_NAMES=on` stores them, and the next run without it takes them out again."""
    clinic = small_clinic(messages=20)
    name = "SELECT name FROM canvas.practitioner WHERE id = $1"
    async with SandboxServer(clinic) as server:
        await sync(mirror_settings(server.url, database_dsn, MIRROR_PRACTITIONER_NAMES="on"))
        person = clinic.practitioners[PRACTITIONER]
        assert await database.fetchval(name, PRACTITIONER) == f"{person.given} {person.family}"
        await sync(mirror_settings(server.url, database_dsn))
        assert await database.fetchval(name, PRACTITIONER) is None


async def test_whoever_is_any_recipient_is_searched_for(database_dsn: str, database: asyncpg.Connection) -> None:
    """A practitioner who is in no roster, and met as the second recipient alone, has messages of their own."""
    hidden = "5150cd20de8a470aa570a852859ac87f"
    both = [{"reference": f"Practitioner/{one}"} for one in (PRACTITIONER, hidden)]
    shared = message("shared", sender={"reference": f"Patient/{PATIENT}"}, recipient=both)
    theirs = message("theirs", sender={"reference": f"Practitioner/{hidden}"})
    answers = {
        ("recipient", f"Practitioner/{PRACTITIONER}"): searchset([entry_of(shared)]),
        ("sender", f"Practitioner/{hidden}"): searchset([entry_of(theirs)]),
    }
    async with PlainSource(answers, [PRACTITIONER]) as source:
        settings = mirror_settings(source.url, database_dsn)
        await sync(settings)
        await sync(settings)
    assert await ids_of(database) == {"shared", "theirs"}


async def test_a_message_of_many_searches_is_landed_by_all_at_once(
    database_dsn: str, database: asyncpg.Connection
) -> None:
    """Its recipients are written anew by whoever met it, also by those who waited for the first."""
    practitioners = [f"{number:032x}" for number in range(1, 9)]
    everybody = [{"reference": f"Practitioner/{one}"} for one in practitioners]
    page = searchset(
        [
            entry_of(message(f"shared-{number}", sender={"reference": f"Patient/{PATIENT}"}, recipient=everybody))
            for number in range(200)
        ]
    )
    answers = {("recipient", f"Practitioner/{one}"): page for one in practitioners}
    async with PlainSource(answers, practitioners) as source:
        result = await sync(mirror_settings(source.url, database_dsn, MIRROR_CONCURRENCY="8"))
    assert result.outcome is Outcome.COMPLETE
    recipients = await database.fetchval("SELECT count(*) FROM canvas.message_recipient")
    assert (len(await ids_of(database)), recipients) == (200, 200 * 8)


async def test_what_a_search_shows_is_not_marked_as_deleted(database_dsn: str, database: asyncpg.Connection) -> None:
    """A verification wanted it, and the source does not know it by id (yet): it is landed, and stays."""
    shown = message("shown", sender={"reference": f"Practitioner/{PRACTITIONER}"})
    known = message("known", sender={"reference": f"Practitioner/{PRACTITIONER}"})
    answers = {
        ("_id", "shown"): PlainSource.EMPTY,
        ("_id", "known"): searchset([entry_of(known)]),
        ("sender", f"Practitioner/{PRACTITIONER}"): searchset([entry_of(shown), entry_of(known)]),
    }
    async with PlainSource(answers, [PRACTITIONER]) as source:
        settings = mirror_settings(source.url, database_dsn)
        await sync(settings)
        await database.execute("INSERT INTO canvas_ops.wanted (id, _run_id) VALUES ('shown', 1)")
        result = await sync(settings)
    assert (result.outcome, result.gone, result.deleted) == (Outcome.COMPLETE, 0, 0)
    assert await database.fetchval("SELECT count(*) FROM canvas.live_message") == 2
