"""Entries that cannot be a row: kept whole, counted, and in nobody's way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.bare_source import BareSource, letter
from tests.integration.mirroring import (
    PATIENT,
    PRACTITIONER,
    PlainSource,
    environment,
    ids_of,
    message,
    mirror_settings,
    places_of,
    run_command,
    searchset,
)
from worker.jobs.backfill import backfill
from worker.jobs.run.plan import Outcome, Selection
from worker.jobs.sync import sync
from worker.jobs.verify.job import verify
from worker.sandbox.population import make_clinic
from worker.sandbox.sandbox_server import SandboxServer

if TYPE_CHECKING:
    import asyncpg

SENT = ("sender", f"Practitioner/{PRACTITIONER}")


def entry(resource: Any) -> bytes:
    return json.dumps({"resource": resource}).encode()


def without(resource: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in resource.items() if name != key}


def nested(levels: int) -> Any:
    value: Any = "deep"
    for _ in range(levels):
        value = [value]
    return value


BAD = {
    "no_id": entry(without(message("x"), "id")),
    "impossible_id": entry(message("not an id")),
    "impossible_date": entry(message("bad-date", sent="2023-02-30T10:00:00Z")),
    "nul_character": entry(message("bad-nul", text="before\x00after")),
    "lone_surrogate": entry(message("bad-surrogate", text="half \ud83d")),
    "nested_too_deep": entry(message("bad-nesting", extension=nested(100))),
    "unparsable_reference": entry(message("bad-reference", sender={"reference": "somebody"})),
    "wrong_field_type": entry(message("bad-field", payload={"contentString": "no list"})),
    "wrong_resource_type": entry({"resourceType": "Observation", "id": "bad-type"}),
    "no_resource": b'{"fullUrl": "urn:uuid:0"}',
    "not_an_object": b'"a word"',
}
OPEN = "SELECT reason, entry, message_id, parameter, value FROM canvas_ops.quarantine WHERE resolved_at IS NULL"


async def test_bad_entries_among_good_ones(database_dsn: str, database: asyncpg.Connection) -> None:
    """The page lives: good rows land, each bad entry lies in quarantine once, with its reason and its bytes."""
    good = [entry(message(f"good-{number}")) for number in range(len(BAD) + 1)]
    entries = [good[0]]
    for number, bad in enumerate(BAD.values(), start=1):
        entries += [bad, good[number]]
    async with PlainSource({SENT: searchset(entries)}, [PRACTITIONER]) as source:
        result = await sync(mirror_settings(source.url, database_dsn, MIRROR_PATIENCE="5s"))
        kept = await database.fetch(OPEN)
        assert {row["reason"]: row["entry"] for row in kept} == BAD
        assert len(kept) == len(BAD)
        assert {(row["parameter"], row["value"]) for row in kept} == {SENT}
        named = {row["reason"]: row["message_id"] for row in kept if row["message_id"]}
        assert named["impossible_date"] == "bad-date"
        assert named["nul_character"] == "bad-nul"
        assert "no_id" not in named
        assert await ids_of(database) == {f"good-{number}" for number in range(len(good))}
        # One more than the ten that any run may meet.
        assert len(BAD) == 11
        assert (result.outcome, result.sums.quarantined, result.sums.accepted) == (Outcome.INCOMPLETE, 11, 4)

        again = await sync(mirror_settings(source.url, database_dsn))
    assert (again.outcome, again.sums.quarantined, again.sums.new) == (Outcome.INCOMPLETE, 0, 0), "they lie open"
    assert len(await database.fetch(OPEN)) == len(BAD)


async def test_a_repaired_message_leaves_quarantine(database_dsn: str, database: asyncpg.Connection) -> None:
    """Once a usable version is served it is a row, its quarantined one is resolved, and stays on record."""
    clinic = make_clinic(messages=20, practitioners=2, patients=4)
    clinic.put(message("hurt", sent="2023-13-01T00:00:00Z"))
    async with SandboxServer(clinic) as server:
        settings = mirror_settings(server.url, database_dsn)
        first = await sync(settings)
        assert (first.outcome, first.sums.quarantined) == (Outcome.COMPLETE, 1)
        assert "hurt" not in await ids_of(database)
        clinic.put(message("hurt", sent="2023-12-01T00:00:00Z"))
        result = await sync(settings)
    assert (result.sums.new, result.sums.quarantined) == (1, 0)
    assert "hurt" in await ids_of(database)
    (row,) = await database.fetch("SELECT message_id, resolved_at FROM canvas_ops.quarantine")
    assert row["message_id"] == "hurt"
    assert row["resolved_at"] is not None
    assert await database.fetchval("SELECT quarantined FROM canvas.freshness") == 0


async def test_a_known_message_keeps_its_last_good_row(database_dsn: str, database: asyncpg.Connection) -> None:
    """A version that cannot be a row goes to quarantine; the row stays, and the return of the good one resolves it."""
    clinic = make_clinic(messages=20, practitioners=2, patients=4)
    good = message("known", text="What was said.")
    clinic.put(good)
    async with SandboxServer(clinic) as server:
        settings = mirror_settings(server.url, database_dsn)
        await sync(settings)
        before = await places_of(database)
        clinic.put(message("known", text="What was\x00said."))
        spoilt = await sync(settings)
        assert (spoilt.outcome, spoilt.sums.quarantined, spoilt.sums.changed) == (Outcome.COMPLETE, 1, 0)
        assert await places_of(database) == before
        clinic.put(good)
        healed = await sync(settings)
        assert (healed.outcome, healed.sums.new, healed.sums.changed) == (Outcome.COMPLETE, 0, 0)
        assert await places_of(database) == before
        assert await database.fetch(OPEN) == []
        clinic.put(message("known", text="What was\x00said."))
        again = await sync(settings)
    assert again.sums.quarantined == 1
    assert await database.fetchval("SELECT count(*) FROM canvas_ops.quarantine") == 1
    assert len(await database.fetch(OPEN)) == 1


async def test_a_known_message_that_another_search_served_spoilt(
    database_dsn: str, database: asyncpg.Connection
) -> None:
    """A fingerprint hides no message with something open in quarantine: its good version, served again, resolves it."""
    clinic = make_clinic(messages=20, practitioners=2, patients=4)
    good = message("known", text="What was said.")
    clinic.put(good)
    async with SandboxServer(clinic) as server:
        settings = mirror_settings(server.url, database_dsn)
        await sync(settings)
        clinic.put(message("known", text="What was\x00said."))
        await backfill(settings, Selection(patients=(PATIENT,)))
        assert len(await database.fetch(OPEN)) == 1
        clinic.put(good)
        await sync(settings)
    assert await database.fetch(OPEN) == []


async def test_a_changed_bad_entry_is_another_one(database_dsn: str, database: asyncpg.Connection) -> None:
    """Entries are told apart by their bytes: two without an id are two, and both count towards the total."""
    nameless = [without(message("x", text=text), "id") for text in ("one", "two")]
    async with PlainSource({SENT: searchset([*map(entry, nameless)])}, [PRACTITIONER]) as source:
        result = await sync(mirror_settings(source.url, database_dsn))
    assert (result.outcome, result.sums.entries) == (Outcome.COMPLETE, 2)
    assert {
        json.loads(row["entry"])["resource"]["payload"][0]["contentString"] for row in await database.fetch(OPEN)
    } == {
        "one",
        "two",
    }


async def test_entries_that_are_no_matches_are_neither_counted_nor_kept(
    database_dsn: str, database: asyncpg.Connection
) -> None:
    """`search.mode` include and outcome are not what was searched for (FHIR R4 §2.36): a walk is accepted without."""
    asides = [
        b'{"resource": {"resourceType": "OperationOutcome", "issue": []}, "search": {"mode": "outcome"}}',
        b'{"resource": {"resourceType": "Patient", "id": "x"}, "search": {"mode": "include"}}',
    ]
    body = searchset([asides[0], entry(message("match")), asides[1]], total=1)
    async with PlainSource({SENT: body}, [PRACTITIONER]) as source:
        result = await sync(mirror_settings(source.url, database_dsn))
    assert (result.outcome, result.sums.entries, result.sums.quarantined) == (Outcome.COMPLETE, 1, 0)
    assert await ids_of(database) == {"match"}


@pytest.mark.parametrize(("good", "bad", "code"), [(0, 10, 0), (0, 11, 1), (1489, 15, 0), (1489, 16, 1)])
async def test_a_flood_into_quarantine_is_no_complete_run(
    good: int, bad: int, code: int, database_dsn: str, database: asyncpg.Connection
) -> None:
    """More new entries than max(10, 1 %) exit 1: something has changed shape. All are reported, nothing is lost."""
    entries = [entry(message(f"good-{number}")) for number in range(good)]
    entries += [entry(message(f"bad-{number}", sent="yesterday, words of a patient")) for number in range(bad)]
    async with PlainSource({SENT: searchset(entries)}, [PRACTITIONER]) as source:
        done = await run_command(environment(source.url, database_dsn), "sync")
    assert done.code == code, done.err
    assert f"{bad} new entries" in done.out
    assert (f"Incomplete because {bad} entries went to quarantine" in done.out) is (code == 1)
    assert "message-mirror sync" not in done.out
    assert "words of a patient" not in done.out + done.err
    assert len(await database.fetch(OPEN)) == bad
    assert len(await ids_of(database)) == good


async def test_what_the_source_no_longer_has_leaves_quarantine(database_dsn: str, database: asyncpg.Connection) -> None:
    """Bad from the start, edited and still bad, deleted: never a row that could be marked as deleted."""
    source = BareSource([letter("good"), letter("bad", sent="never")])
    async with source.serve() as url:
        settings = mirror_settings(url, database_dsn)
        await sync(settings)
        source.rows[1] = letter("bad", sent="never ever")
        await sync(settings)
        assert [row["message_id"] for row in await database.fetch(OPEN)] == ["bad"]
        source.rows.pop()
        await sync(settings, quick=True)
        assert len(await database.fetch(OPEN)) == 1
        await sync(settings)
    assert await database.fetch(OPEN) == []


async def test_what_is_spoilt_just_as_before_is_open_again(database_dsn: str, database: asyncpg.Connection) -> None:
    """The same bytes, closed in between by a usable version, which was deleted: served to this run, and so not gone.

    Until then they are in quarantine no longer, and `verify` says so.
    """
    source = BareSource([letter("one", sent="never"), letter("another")])
    async with source.serve() as url:
        settings = mirror_settings(url, database_dsn)
        await sync(settings)
        for rows in ([letter("one"), letter("another")], [letter("another")]):
            source.rows = rows
            await sync(settings)
            assert await database.fetch(OPEN) == []
        source.rows = [letter("one", sent="never"), letter("another")]
        verified = await verify(settings, sync_first=False)
        assert sum(verified.found.differences.values()) == 1
        assert (await sync(settings)).outcome is Outcome.COMPLETE
        assert (await verify(settings, sync_first=False)).clean
    assert [row["message_id"] for row in await database.fetch(OPEN)] == ["one"]


async def test_what_a_search_that_is_not_accepted_does_not_show_stays(
    database_dsn: str, database: asyncpg.Connection
) -> None:
    source = BareSource([letter("good"), letter("bad", sent="never")])
    async with source.serve() as url:
        settings = mirror_settings(url, database_dsn)
        await sync(settings)
        source.spoil = lambda _path, _query, bundle: bundle["entry"].pop() if len(bundle["entry"]) > 1 else None
        assert (await sync(settings)).outcome is Outcome.INCOMPLETE
    assert [row["message_id"] for row in await database.fetch(OPEN)] == ["bad"]
