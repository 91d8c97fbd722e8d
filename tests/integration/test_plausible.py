"""What adds up and is not plausible all the same: a run does not call itself complete, or holds what it was told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.bare_source import BareSource, letter
from tests.integration.mirroring import environment, ids_of, mirror_settings, run_command
from worker.errors import EXIT_INCOMPLETE, EXIT_OK, EXIT_USAGE
from worker.jobs import people, plan
from worker.jobs.backfill import backfill
from worker.jobs.plan import Outcome, Selection
from worker.jobs.sync import sync
from worker.jobs.verify import verify

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

SEVERAL = {f"pr{number}": number % 2 == 0 for number in range(8)}
UNDATED = {"sent": "2024-02-01T09:00:00"}


@pytest.fixture
async def source() -> AsyncIterator[BareSource]:
    source = BareSource([letter(f"m{number}") for number in range(20)])
    async with source.serve() as url:
        source.url = url
        yield source


# The roster


async def test_a_roster_of_nobody_is_not_complete_until_the_operator_says_so(
    source: BareSource, database_dsn: str, database: asyncpg.Connection
) -> None:
    source.practitioners = {}
    settings = mirror_settings(source.url, database_dsn)
    for _ in range(2):
        result = await sync(settings)
        assert (result.outcome, result.reasons) == (Outcome.FAILED, {"roster_empty": 2}), "nothing was accepted"
    assert (await sync(settings, accept_roster=True)).outcome is Outcome.COMPLETE
    assert (await sync(settings)).outcome is Outcome.COMPLETE, "said once"
    assert await ids_of(database) == set()


@pytest.mark.parametrize(("left", "believed"), [(8, True), (5, True), (4, False), (1, False), (0, False)])
async def test_a_roster_that_fell_by_half_is_not_complete(
    left: int, believed: bool, source: BareSource, database_dsn: str, database: asyncpg.Connection
) -> None:
    """It is held against the last one that was believed, however often the smaller one is shown."""
    settings = mirror_settings(source.url, database_dsn)
    source.practitioners = {"pr": True, **SEVERAL}
    del source.practitioners["pr7"]
    assert (await sync(settings)).outcome is Outcome.COMPLETE
    source.practitioners = dict([*source.practitioners.items()][:left])
    for _ in range(2):
        result = await sync(settings)
        assert result.outcome is (Outcome.COMPLETE if believed else Outcome.INCOMPLETE)
        assert [*result.reasons] == ([] if believed else ["roster_shrunk" if left else "roster_empty"])
    on_it = await database.fetchval("SELECT count(*) FROM canvas.practitioner WHERE in_roster")
    assert on_it == (left if believed else 8), "nobody has left by the word of a roster that is not believed"
    assert (await sync(settings, accept_roster=True)).outcome is Outcome.COMPLETE
    assert (await sync(settings)).outcome is Outcome.COMPLETE
    assert await database.fetchval("SELECT count(*) FROM canvas.practitioner WHERE in_roster") == left


@pytest.mark.parametrize("active", [True, False])
async def test_one_of_the_two_lists_may_be_empty(active: bool, source: BareSource, database_dsn: str) -> None:
    source.practitioners = {"pr": active}
    settings = mirror_settings(source.url, database_dsn)
    assert (await sync(settings)).outcome is Outcome.COMPLETE
    source.practitioners = {"pr": not active}
    assert (await sync(settings)).outcome is Outcome.COMPLETE


async def test_by_the_commands(source: BareSource, database_dsn: str) -> None:
    """`check` says ✗, `sync` what to type, and that is what helps."""
    source.practitioners = {}
    variables = environment(source.url, database_dsn)
    checked = await run_command(variables, "check")
    assert checked.code == EXIT_INCOMPLETE
    assert "✗ the roster lists no practitioner" in checked.out
    synced = await run_command(variables, "sync")
    assert synced.code == EXIT_INCOMPLETE
    assert synced.out.splitlines()[-1].endswith("message-mirror sync --accept-roster.")
    assert (await run_command(variables, "sync", "--accept-roster")).code == EXIT_OK


async def test_a_list_of_no_patients_where_messages_name_some(source: BareSource, database_dsn: str) -> None:
    def hide(path: str, _query: dict[str, str], bundle: dict[str, Any]) -> None:
        if path == "/Patient":
            bundle |= {"total": 0, "entry": []}

    source.spoil = hide
    settings = mirror_settings(source.url, database_dsn)
    assert (await sync(settings)).outcome is Outcome.COMPLETE, "a sync needs no patients"
    assert (await backfill(settings, Selection(by_patient=True))).reasons == {"roster_empty": 1}
    assert (await verify(settings)).reason == "roster_empty"


async def test_sabotage_whatever_is_listed_is_believed(
    source: BareSource, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "object_to", lambda lists, _reason: lists)
    source.practitioners = {}
    assert (await sync(mirror_settings(source.url, database_dsn))).outcome is Outcome.COMPLETE


# Quarantine


async def test_a_flood_into_quarantine_stays_one_until_it_is_accepted(
    source: BareSource, database_dsn: str, database: asyncpg.Connection
) -> None:
    source.rows[:12] = [letter(f"m{number}", **UNDATED) for number in range(12)]
    settings, variables = mirror_settings(source.url, database_dsn), environment(source.url, database_dsn)
    for new in (12, 0, 0):
        result = await sync(settings)
        assert (result.outcome, result.why, result.sums.quarantined) == (Outcome.INCOMPLETE, ["quarantine"], new)
    typed = await run_command(variables, "sync")
    assert "12 entries of earlier runs lie in quarantine, accepted by nobody." in typed.out
    assert typed.out.splitlines()[-1].endswith("message-mirror quarantine accept REASON.")
    accepted = await run_command(variables, "quarantine", "accept", "impossible_date")
    assert (accepted.code, accepted.err) == (EXIT_OK, "")
    assert accepted.out.startswith("Accepted: 12 entries (impossible_date).")
    assert (await sync(settings)).outcome is Outcome.COMPLETE
    kept = await database.fetch("SELECT accepted_by, accepted_at FROM canvas_ops.quarantine WHERE resolved_at IS NULL")
    assert len(kept) == 12
    assert all("@" in row["accepted_by"] and row["accepted_at"] for row in kept)
    told = json.loads((await run_command(variables, "status", "--json")).out)
    assert [(row["entries"], row["accepted"]) for row in told["quarantine"]] == [(12, 12)]
    again = await run_command(variables, "quarantine", "accept", "impossible_date")
    assert again.out == "Nothing lies in quarantine for impossible_date that was not accepted before.\n"


async def test_what_comes_after_it_was_accepted_is_judged_by_itself(source: BareSource, database_dsn: str) -> None:
    source.rows[:12] = [letter(f"m{number}", **UNDATED) for number in range(12)]
    settings, variables = mirror_settings(source.url, database_dsn), environment(source.url, database_dsn)
    await sync(settings)
    await run_command(variables, "quarantine", "accept", "impossible_date")
    source.rows += [letter(f"odd{number}", **UNDATED) for number in range(3)]
    assert (await sync(settings)).outcome is Outcome.COMPLETE, "three odd ones are no flood"
    source.rows += [letter(f"new{number}", **UNDATED) for number in range(11)]
    assert (await sync(settings)).why == ["quarantine"]
    assert (await sync(settings)).why == ["quarantine"]
    await run_command(variables, "quarantine", "accept", "nul_character")
    assert (await sync(settings)).why == ["quarantine"], "that is another reason"


async def test_a_flood_that_goes_away_is_none_any_more(source: BareSource, database_dsn: str) -> None:
    sound = [*source.rows]
    source.rows[:12] = [letter(f"m{number}", **UNDATED) for number in range(12)]
    settings = mirror_settings(source.url, database_dsn)
    assert (await sync(settings)).why == ["quarantine"]
    source.rows = sound
    assert (await sync(settings)).outcome is Outcome.COMPLETE


async def test_a_reason_that_there_is_not(database_dsn: str) -> None:
    finished = await run_command(environment("http://127.0.0.1:1", database_dsn), "quarantine", "accept", "nonsense")
    assert finished.code == EXIT_USAGE
    assert "impossible_date" in finished.err


async def test_sabotage_a_flood_is_one_for_a_night_only(
    source: BareSource, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "quarantine_flooded", lambda sums: sums.quarantined > plan.QUARANTINE_FLOOR)
    source.rows[:12] = [letter(f"m{number}", **UNDATED) for number in range(12)]
    settings = mirror_settings(source.url, database_dsn)
    assert (await sync(settings)).outcome is Outcome.INCOMPLETE
    assert (await sync(settings)).outcome is Outcome.COMPLETE


# What a search has just shown


async def test_what_was_shown_and_cannot_be_a_row_is_not_asked_for_by_id(
    source: BareSource, database_dsn: str, database: asyncpg.Connection
) -> None:
    settings = mirror_settings(source.url, database_dsn)
    await sync(settings)
    source.rows[3] = letter("m3", **UNDATED)
    for _ in range(2):
        source.asked.clear()
        assert (await sync(settings)).outcome is Outcome.COMPLETE
        assert [query["_id"] for _, query in source.asked if query.get("_id", "").startswith("m")] == []
    assert await ids_of(database) == source.ids()
    source.rows = [row for row in source.rows if row["id"] != "m3"]
    assert (await sync(settings)).deleted == 1, "shown no more, it is asked for, and gone"
