"""What adds up and is not plausible all the same: a run does not call itself complete, or holds what it was told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from tests.integration.bare_source import BareSource, letter
from tests.integration.mirroring import environment, ids_of, mirror_settings, run_command
from worker.errors import EXIT_INCOMPLETE, EXIT_OK, EXIT_USAGE
from worker.jobs.backfill import backfill
from worker.jobs.run import mirror, rosters
from worker.jobs.run.plan import Outcome, Selection
from worker.jobs.sync import sync
from worker.jobs.verify.job import verify
from worker.load.ledger import FLOOD_FLOOR, RunSums

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
    monkeypatch.setattr(rosters, "object_to", lambda lists, _reason: lists)
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
    assert "12 entries of earlier runs are in quarantine and nobody accepted them." in typed.out
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
    assert again.out == "Every entry in quarantine for impossible_date was accepted before, or there is none.\n"


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
    monkeypatch.setattr(RunSums, "is_flooded", property(lambda sums: sums.quarantined > FLOOD_FLOOR))
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


# Deletions


PEOPLE = {f"{doctor}-{patient}": (doctor, patient) for doctor in ("da", "db") for patient in ("pa", "pb", "pc", "pd")}


def of_several(count: int = 4) -> list[dict[str, Any]]:
    """Return `count` messages for each of two practitioners and four patients."""
    return [
        letter(f"{name}-{number}", doctor, recipient=[{"reference": f"Patient/{patient}"}])
        for name, (doctor, patient) in PEOPLE.items()
        for number in range(count)
    ]


class Listed:
    """Lists these patients, or answers their search otherwise; notes whom it was asked for."""

    def __init__(self, *patients: str) -> None:
        self.patients = {*patients}
        self.asked: list[str] = []
        self.refuses = False
        self.ignores_id = False

    def __call__(self, path: str, query: dict[str, str], bundle: dict[str, Any]) -> None:
        if path != "/Patient":
            return
        asked = {query["_id"]} if "_id" in query and not self.ignores_id else self.patients
        self.asked += [query["_id"]] if "_id" in query else []
        found = [{"resource": {"resourceType": "Patient", "id": one}} for one in sorted(asked & self.patients)]
        bundle |= {"total": len(found), "entry": found}
        if self.refuses:
            bundle |= {"resourceType": "OperationOutcome"}


@pytest.fixture
async def several() -> AsyncIterator[BareSource]:
    source = BareSource(of_several(), practitioners={"da": True, "db": True})
    source.spoil = Listed("pa", "pb", "pc", "pd")
    async with source.serve() as url:
        source.url = url
        yield source


def listed(source: BareSource) -> Listed:
    assert isinstance(source.spoil, Listed)
    return source.spoil


def hide(source: BareSource, *names: str) -> None:
    source.rows = [row for row in source.rows if not any(name in row["id"].split("-") for name in names)]


@pytest.mark.parametrize("hidden", ["pa", "db"])
async def test_all_of_a_patient_or_a_practitioner_is_held(
    hidden: str, several: BareSource, database_dsn: str, database: asyncpg.Connection
) -> None:
    """Nobody is asked for it; it is said, by every command, and how to accept it; and undone when they are back."""
    rows, settings = [*several.rows], mirror_settings(several.url, database_dsn)
    variables = environment(several.url, database_dsn)
    await sync(settings)
    hide(several, hidden)
    gone = len(rows) - len(several.rows)
    for _ in range(2):
        result = await sync(settings)
        assert (result.outcome, result.gone, result.held, result.deleted) == (Outcome.COMPLETE, gone, gone, 0)
    assert await live(database) == {row["id"] for row in rows}
    typed = await run_command(variables, "sync")
    assert f"  held        {gone} of the messages that are gone" in typed.out
    assert "message-mirror sync --accept-deletions" in typed.out
    shown = (await run_command(variables, "status")).out
    assert f"Held: {gone} of the messages that are gone" in shown
    assert "message-mirror sync --accept-deletions" in shown
    told = json.loads((await run_command(variables, "status", "--json")).out)
    assert (told["held_deletions"], told["runs"][0]["held"]) == (gone, gone)
    verified = await verify(settings)
    assert (verified.clean, verified.found.held, verified.found.differences) == (True, gone, {})
    several.rows = rows
    assert (await sync(settings)).held == 0
    assert json.loads((await run_command(variables, "status", "--json")).out)["held_deletions"] == 0


async def test_what_the_operator_accepts_is_marked(
    several: BareSource, database_dsn: str, database: asyncpg.Connection
) -> None:
    settings = mirror_settings(several.url, database_dsn)
    await sync(settings)
    hide(several, "pa", "db")
    assert (await sync(settings)).held > 0
    accepted = await sync(settings, accept_deletions=True)
    assert (accepted.outcome, accepted.held) == (Outcome.COMPLETE, 0)
    assert accepted.deleted == accepted.gone > 0
    assert await live(database) == several.ids()
    assert (await verify(settings)).clean


async def test_some_of_a_patients_messages_are_marked_beside_what_is_held(
    several: BareSource, database_dsn: str, database: asyncpg.Connection
) -> None:
    settings = mirror_settings(several.url, database_dsn)
    await sync(settings)
    hide(several, "pa")
    several.rows = [row for row in several.rows if row["id"] not in {"da-pb-0", "db-pc-1"}]
    result = await sync(settings)
    assert (result.outcome, result.held, result.deleted) == (Outcome.COMPLETE, 8, 2)
    assert await live(database) == several.ids() | {f"{one}-pa-{n}" for one in ("da", "db") for n in range(4)}


@pytest.mark.parametrize("left_listed", [True, False])
async def test_two_of_two_are_held_only_if_the_patient_is_not_listed(
    left_listed: bool, several: BareSource, database_dsn: str
) -> None:
    """`/Patient` is asked for by id, for the patients concerned, and only when something is gone."""
    several.rows += [letter(f"pe-{n}", "da", recipient=[{"reference": "Patient/pe"}]) for n in range(2)]
    listed(several).patients |= {"pe"}
    settings = mirror_settings(several.url, database_dsn)
    for _ in range(2):
        await sync(settings)
    assert listed(several).asked == [], "an unchanged run asks for nobody"
    hide(several, "pe")
    if not left_listed:
        listed(several).patients -= {"pe"}
    result = await sync(settings)
    assert (result.held, result.deleted) == ((0, 2) if left_listed else (2, 0))
    assert {*listed(several).asked} <= {"pe", "pa", "pb", "pc"}


@pytest.mark.parametrize("how", ["refuses", "ignores_id", "lists nobody"])
async def test_whose_word_on_patients_is_worth_nothing_holds_nothing(
    how: str, several: BareSource, database_dsn: str
) -> None:
    """A client may have no scope for patients, and a source may not know the parameter."""
    settings = mirror_settings(several.url, database_dsn)
    await sync(settings)
    if how == "lists nobody":
        listed(several).patients.clear()
    else:
        setattr(listed(several), how, True)
    several.rows = [row for row in several.rows if row["id"] != "da-pb-0"]
    result = await sync(settings)
    assert (result.outcome, result.held, result.deleted) == (Outcome.COMPLETE, 0, 1)


async def test_a_scope_of_one_patient_marks_nothing(several: BareSource, database_dsn: str) -> None:
    settings = mirror_settings(several.url, database_dsn)
    await sync(settings)
    hide(several, "pa", "pb", "pc")
    result = await sync(settings)
    assert (result.outcome, result.held, result.deleted) == (Outcome.COMPLETE, 24, 0)


async def test_sabotage_what_is_held_is_marked(
    several: BareSource, database_dsn: str, database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*_: object) -> list[str]:
        return []

    monkeypatch.setattr(mirror, "implausible", nothing)
    settings = mirror_settings(several.url, database_dsn)
    await sync(settings)
    hide(several, "pa")
    await sync(settings)
    assert await live(database) == several.ids(), "what the tests above forbid"


@pytest.mark.parametrize("status", [404, 410])
async def test_an_id_that_is_refused_as_not_found_is_gone(
    status: int, several: BareSource, database_dsn: str, database: asyncpg.Connection
) -> None:
    def refuse(path: str, query: dict[str, str]) -> None:
        if path == "/Communication" and query.get("_id", "0000").startswith("d") and query["_id"] not in several.ids():
            outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "not-found"}]}
            error = web.HTTPNotFound if status == 404 else web.HTTPGone
            raise error(text=json.dumps(outcome), content_type="application/fhir+json")

    settings = mirror_settings(several.url, database_dsn)
    await sync(settings)
    several.before = refuse
    several.rows = [row for row in several.rows if row["id"] != "da-pb-0"]
    result = await sync(settings)
    assert (result.outcome, result.deleted) == (Outcome.COMPLETE, 1)
    assert await live(database) == several.ids()
    assert (await verify(settings)).clean


async def live(database: asyncpg.Connection) -> set[str]:
    return {row["id"] for row in await database.fetch("SELECT id FROM canvas.message WHERE _deleted_at IS NULL")}


# A practitioner who has left


def refusing(source: BareSource, names: set[str], status: int) -> None:
    """Let searches for these practitioners be refused with an OperationOutcome."""
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "not-found"}]}

    def refuse(path: str, query: dict[str, str]) -> None:
        asked = query.get("sender", query.get("recipient", "")).removeprefix("Practitioner/")
        if path == "/Communication" and asked in names:
            error = {400: web.HTTPBadRequest, 404: web.HTTPNotFound, 403: web.HTTPForbidden}[status]
            raise error(text=json.dumps(outcome), content_type="application/fhir+json")

    source.before = refuse


@pytest.mark.parametrize("status", [400, 404])
async def test_who_is_not_listed_and_refused_by_name_is_a_remark(
    status: int, several: BareSource, database_dsn: str, database: asyncpg.Connection
) -> None:
    several.practitioners["dc"] = True
    settings = mirror_settings(several.url, database_dsn)
    await sync(settings)
    del several.practitioners["db"]
    refusing(several, {"db"}, status)
    for _ in range(2):
        result = await sync(settings)
        assert (result.outcome, result.reasons, result.sums.not_listed) == (Outcome.COMPLETE, {}, 2)
        assert (result.gone, result.deleted) == (0, 0)
    assert await live(database) == several.ids()
    typed = await run_command(environment(several.url, database_dsn), "sync")
    assert typed.code == EXIT_OK
    assert "not listed  2 searches are refused for practitioners" in typed.out
    assert "message-mirror backfill" in typed.out
    several.rows = [row for row in several.rows if row["id"] != "da-pb-0"]
    assert (await sync(settings)).deleted == 1, "what others had is looked after as before"


@pytest.mark.parametrize(("listed_still", "status"), [(True, 400), (False, 403)])
async def test_who_is_listed_or_forbidden_makes_the_run_incomplete(
    listed_still: bool, status: int, several: BareSource, database_dsn: str
) -> None:
    several.practitioners["dc"] = True
    settings = mirror_settings(several.url, database_dsn)
    await sync(settings)
    if not listed_still:
        del several.practitioners["db"]
    refusing(several, {"db"}, status)
    result = await sync(settings)
    assert (result.outcome, result.reasons) == (Outcome.INCOMPLETE, {f"http_{status}": 2})


async def test_who_is_named_is_not_excused(several: BareSource, database_dsn: str) -> None:
    """A backfill of just this practitioner was asked for, and reads no roster."""
    settings = mirror_settings(several.url, database_dsn)
    refusing(several, {"gone"}, 400)
    result = await backfill(settings, Selection(practitioners=("gone",)))
    assert (result.outcome, result.reasons) == (Outcome.FAILED, {"http_400": 2})
