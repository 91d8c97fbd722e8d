"""Sources that hide messages which stand still: a run finds them all the same, or does not say that it is complete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.bare_source import PATIENT, BareSource, letter
from tests.integration.mirroring import ids_of, mirror_settings
from worker.jobs.run import mirror
from worker.jobs.run.plan import Outcome
from worker.jobs.sync import sync
from worker.load import missing

if TYPE_CHECKING:
    import asyncpg

    from worker.records import Search

OF_THE_PRACTITIONER = {"sender": "Practitioner/pr"}
TWO = [{"reference": PATIENT}, {"reference": "Practitioner/hidden"}]


def asks(query: dict[str, str], wanted: dict[str, str]) -> bool:
    return wanted.items() <= query.items()


async def test_somebody_made_active_between_the_two_lists_of_the_roster(
    database_dsn: str, database: asyncpg.Connection
) -> None:
    """Active when the inactive are listed, inactive when the active were: on neither list."""
    source = BareSource([letter("a"), letter("b", "back")], practitioners={"pr": True, "back": False})

    def flip(path: str, query: dict[str, str]) -> None:
        if path == "/Practitioner" and query["active"] == "false":
            source.practitioners["back"] = True

    source.before = flip
    async with source.serve() as url:
        result = await sync(mirror_settings(url, database_dsn))
    assert result.outcome is Outcome.COMPLETE
    assert await ids_of(database) == source.ids()


async def test_whoever_is_met_is_searched_for_in_the_same_run(database_dsn: str, database: asyncpg.Connection) -> None:
    """Met as the second recipient of a message, and on no roster."""
    source = BareSource([letter("both", recipient=TWO), letter("theirs", "hidden")])
    async with source.serve() as url:
        result = await sync(mirror_settings(url, database_dsn))
    assert result.outcome is Outcome.COMPLETE
    assert await ids_of(database) == source.ids()


async def test_whoever_is_met_in_a_message_found_by_id_is_searched_for_too(
    database_dsn: str, database: asyncpg.Connection
) -> None:
    """A known message was handed over to somebody whom the roster hides; they have others."""
    source = BareSource([letter("a"), letter("b")])
    async with source.serve() as url:
        settings = mirror_settings(url, database_dsn)
        await sync(settings)
        source.rows = [letter("a"), letter("b", "hidden"), letter("theirs", "hidden")]
        result = await sync(settings)
    assert result.outcome is Outcome.COMPLETE
    assert await ids_of(database) == source.ids()


@pytest.mark.parametrize("shown", [0, 3])
async def test_a_quick_look_does_not_take_half_a_page_for_unchanged(shown: int, database_dsn: str) -> None:
    source = BareSource([letter(f"m{number}") for number in range(5)])

    def cut(_path: str, query: dict[str, str], bundle: dict[str, Any]) -> None:
        if asks(query, OF_THE_PRACTITIONER):
            del bundle["entry"][shown:]

    async with source.serve() as url:
        settings = mirror_settings(url, database_dsn)
        assert (await sync(settings)).outcome is Outcome.COMPLETE
        assert (await sync(settings, quick=True)).outcome is Outcome.COMPLETE
        source.spoil = cut
        assert (await sync(settings, quick=True)).reasons == {"too_few_entries": 1}


class Hiding:
    """A search that says, for so many times, that it has nothing: its index is made anew, a replica is behind."""

    def __init__(self, times: int) -> None:
        self.times = times

    def __call__(self, _path: str, query: dict[str, str], bundle: dict[str, Any]) -> None:
        if self.times and asks(query, OF_THE_PRACTITIONER):
            self.times -= 1
            bundle["total"] = 0
            bundle["entry"] = []


@pytest.mark.parametrize(("times", "outcome"), [(1, Outcome.COMPLETE), (2, Outcome.INCOMPLETE)])
async def test_a_search_that_hides_what_is_there_by_id_is_not_believed(
    times: int, outcome: Outcome, database_dsn: str, database: asyncpg.Connection
) -> None:
    """It is walked once more. What it hides of the known it may hide of the new; nothing is marked as deleted."""
    source = BareSource([letter("a"), letter("b"), letter("gone")])
    async with source.serve() as url:
        settings = mirror_settings(url, database_dsn)
        await sync(settings)
        source.rows = [letter("a"), letter("b"), letter("new")]
        source.spoil = Hiding(times)
        result = await sync(settings)
        assert result.outcome is outcome
        assert result.reasons == ({} if outcome is Outcome.COMPLETE else {"hides_messages": 1})
        assert result.deleted == (outcome is Outcome.COMPLETE)
        assert ("new" in await ids_of(database)) is (outcome is Outcome.COMPLETE)
        again = await sync(settings)
    assert again.outcome is Outcome.COMPLETE
    assert await ids_of(database) >= source.ids()


async def test_what_was_changed_handed_over_or_spoilt_hides_nothing(
    database_dsn: str, database: asyncpg.Connection
) -> None:
    """None of these is in the search that had shown it, for a good reason."""
    source = BareSource(
        [letter(name) for name in ("changed", "handed-over", "spoilt", "gone", "stays")],
        practitioners={"pr": True, "other": True},
    )
    async with source.serve() as url:
        settings = mirror_settings(url, database_dsn)
        await sync(settings)
        source.rows = [
            letter("changed", text="Otherwise."),
            letter("handed-over", "hidden"),
            letter("spoilt", sent="never"),
            letter("stays"),
        ]
        result = await sync(settings)
        assert (result.outcome, result.reasons, result.deleted) == (Outcome.COMPLETE, {}, 1)
        assert (await sync(settings)).outcome is Outcome.COMPLETE
    assert await database.fetchval("SELECT count(*) FROM canvas_ops.quarantine WHERE resolved_at IS NULL") == 1


async def whoever_is_met_is_known_already(*_: object) -> list[Search]:
    """Stand in for looking who was met in a run."""
    return []


async def nothing_is_hidden(*_: object) -> list[int]:
    """Stand in for looking which searches hide something."""
    return []


async def test_without_a_look_at_whoever_is_met_their_messages_are_lost(
    database_dsn: str, database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sabotage of the tests above."""
    monkeypatch.setattr(mirror, "_of_newly_met", whoever_is_met_is_known_already)
    source = BareSource([letter("both", recipient=TWO), letter("theirs", "hidden")])
    async with source.serve() as url:
        assert (await sync(mirror_settings(url, database_dsn))).outcome is Outcome.COMPLETE
    assert await ids_of(database) == {"both"}


async def test_without_a_look_at_what_is_hidden_a_lie_is_believed(
    database_dsn: str, database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sabotage of the tests above."""
    monkeypatch.setattr(missing, "find_hiding", nothing_is_hidden)
    source = BareSource([letter("a")])
    async with source.serve() as url:
        settings = mirror_settings(url, database_dsn)
        await sync(settings)
        source.rows.append(letter("new"))
        source.spoil = Hiding(1)
        assert (await sync(settings)).outcome is Outcome.COMPLETE
    assert await ids_of(database) == {"a"}
