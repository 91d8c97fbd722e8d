"""When a walk counts: a source whose answers contradict themselves is walked again, then told on, never believed."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from aiohttp import web

from tests.faults.faults_moment import documented_refusal
from tests.integration.bare_source import PATIENT, BareSource, letter
from tests.integration.loopback import FakeClock
from tests.integration.mirroring import IN_HASTE, environment, ids_of, message, mirror_settings, run_command
from worker.advice import next_steps
from worker.extract import patience
from worker.extract.client import Source
from worker.jobs.run import acceptance
from worker.jobs.run.plan import Outcome
from worker.jobs.sync import sync
from worker.sandbox.population import make_clinic
from worker.sandbox.sandbox_server import SandboxServer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import asyncpg
    from aiohttp.typedefs import Handler, Middleware

    from worker.sandbox.population import Clinic

Bundle = dict[str, Any]
PAUSES_S = acceptance.PAUSES_S  # before the fixtures take them away


class Spoiler:
    """A middleware that lets `spoil(bundle, offset, how_often_its_first_page_was_read)` change one search's pages."""

    def __init__(self, path: str, name: str, value: str, spoil: Callable[[Bundle, int, int], None]) -> None:
        self.path = path
        self.asked = (name, value)
        self.spoil: Callable[[Bundle, int, int], None] | None = spoil
        self.first_pages = 0

    def middleware(self) -> Middleware:
        @web.middleware
        async def spoil(request: web.Request, handler: Handler) -> web.StreamResponse:
            answer = await handler(request)
            if self.spoil is None or request.path != self.path or self.asked not in request.query.items():
                return answer
            assert isinstance(answer, web.Response)
            assert isinstance(answer.body, bytes)
            bundle = json.loads(answer.body)
            offset = int(request.query.get("_offset", "0"))
            self.first_pages += offset == 0
            self.spoil(bundle, offset, self.first_pages)
            return web.json_response(bundle)

        return spoil


def total_that_changes(bundle: Bundle, offset: int, _reads: int) -> None:
    bundle["total"] += 1 + (offset > 0)


def total_right_on_the_first_page_alone(bundle: Bundle, offset: int, _reads: int) -> None:
    bundle["total"] += offset > 0


def total_on_the_last_page_alone(bundle: Bundle, _offset: int, _reads: int) -> None:
    if any(link["relation"] == "next" for link in bundle["link"]):
        del bundle["total"]


def total_too_high(bundle: Bundle, _offset: int, _reads: int) -> None:
    bundle["total"] += 1


def total_too_low(bundle: Bundle, _offset: int, _reads: int) -> None:
    bundle["total"] -= 1


def no_total(bundle: Bundle, _offset: int, _reads: int) -> None:
    del bundle["total"]


def total_beyond_counting(bundle: Bundle, _offset: int, _reads: int) -> None:
    bundle["total"] = 2**63


def rows_that_repeat(bundle: Bundle, _offset: int, _reads: int) -> None:
    bundle["entry"][-1] = bundle["entry"][0]


def filter_that_is_ignored(bundle: Bundle, offset: int, _reads: int) -> None:
    bundle["total"] += 1
    if offset == 0:
        bundle["entry"].append({"resource": message("stranger", sender={"reference": "Practitioner/stranger"})})


def first_page_that_changes(bundle: Bundle, offset: int, reads: int) -> None:
    if offset == 0 and reads % 2 == 0:
        bundle["entry"][0] = {"resource": message("newcomer", recipient=bundle["entry"][1]["resource"]["recipient"])}


def pages_that_are_others_every_time(bundle: Bundle, offset: int, reads: int) -> None:
    bundle["entry"][0]["resource"]["id"] = f"newcomer-{offset}-{reads % 20}"  # another in each of ten readings


def outcome(severity: str, code: str) -> Bundle:
    issue = {"severity": severity, "code": code}
    return {"resource": {"resourceType": "OperationOutcome", "issue": [issue]}, "search": {"mode": "outcome"}}


def results_that_are_not_whole(bundle: Bundle, offset: int, _reads: int) -> None:
    if offset > 0:
        bundle["entry"].append(outcome("warning", "incomplete"))


def clinic_of_long_searches() -> Clinic:
    return make_clinic(messages=700, practitioners=3, patients=20, seed=2)


@pytest.mark.parametrize("nobody", [{"sender": None}, {"sender": {"display": "Made up"}}, {"recipient": None}])
async def test_one_message_that_names_nobody_on_a_side_leaves_its_search_accepted(
    nobody: dict[str, Any], database_dsn: str, database: asyncpg.Connection
) -> None:
    source = BareSource([letter(f"m{number}") for number in range(3)])

    def forget_a_side(path: str, query: dict[str, str], bundle: dict[str, Any]) -> None:
        if path == "/Communication" and query.get("sender" if "sender" in nobody else "recipient"):
            bundle["entry"] = [{"resource": one["resource"] | nobody} for one in bundle["entry"]]

    source.spoil = forget_a_side
    async with source.serve() as url:
        if "recipient" in nobody:
            source.rows = [
                letter(one, sender={"reference": PATIENT}, recipient=[{"reference": "Practitioner/pr"}])
                for one in source.ids()
            ]
        done = await run_command(environment(url, database_dsn), "sync")
    assert done.code == 0, done.out
    assert await ids_of(database) == source.ids()


@pytest.mark.parametrize(
    ("spoil", "reason", "searches"),
    [
        (total_that_changes, "total_changed", 8),
        (total_too_high, "too_few_entries", 8),
        (total_too_low, "too_many_entries", 8),
        (no_total, "no_total", 8),
        (total_beyond_counting, "no_total", 8),
        (rows_that_repeat, "too_few_entries", 8),
        # The stranger is met, and searched for; their message is shown by none of it, and asked for by id.
        (filter_that_is_ignored, "filter_ignored", 11),
        (pages_that_are_others_every_time, "pages_changed", 8),
        (results_that_are_not_whole, "results_not_whole", 8),
    ],
)
async def test_a_search_that_contradicts_itself(
    spoil: Callable[[Bundle, int, int], None],
    reason: str,
    searches: int,
    database_dsn: str,
    database: asyncpg.Connection,
) -> None:
    """After three walks it is reported as not accepted: exit 1, the other searches landed and accepted."""
    clinic = clinic_of_long_searches()
    busiest = next(iter(clinic.practitioners.values())).reference
    spoiler = Spoiler("/Communication", "recipient", busiest, spoil)
    theirs = {one["id"] for one in clinic if one["recipient"][0]["reference"] == busiest}
    assert len(theirs) > 100
    async with SandboxServer(clinic, middlewares=[spoiler.middleware()]) as server:
        done = await run_command(environment(server.url, database_dsn), "sync", first=IN_HASTE)
        assert done.code == 1, done.err
        assert f"1 searches, {reason}" in done.out
        assert f"{searches - 1} of {searches} accepted" in done.out
        assert done.out.splitlines()[-1] == next_steps([reason], "message-mirror sync")[-1]
        search = await database.fetchrow("SELECT * FROM canvas_ops.search WHERE status = 'not_accepted'")
        assert (search["value"], search["reason"], search["walks"]) == (busiest, reason, 3)
        run = await database.fetchrow("SELECT * FROM canvas_ops.run")
        assert (run["outcome"], run["searches"], run["searches_accepted"]) == (
            "incomplete",
            searches,
            searches - 1,
        )
        # What such a walk shows is landed all the same; it only proves nothing about what it does not show.
        landed = await ids_of(database)
        assert {one["id"] for one in clinic} - theirs <= landed
        assert len(landed & theirs) >= len(theirs) - 2
        assert await database.fetchval("SELECT count(*) FROM canvas_ops.fingerprint WHERE value = $1", busiest) == 1
        assert await database.fetchval("SELECT last_complete_run_id FROM canvas.freshness") is None

        spoiler.spoil = None
        result = await sync(mirror_settings(server.url, database_dsn))
    assert result.outcome == Outcome.COMPLETE
    assert {one["id"] for one in clinic} <= await ids_of(database)
    assert await database.fetchval("SELECT last_complete_run_id FROM canvas.freshness") == result.run_id


async def test_the_walks_of_a_search_are_a_pause_apart(database_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong with a source may pass: it is not asked for the same again at once."""
    monkeypatch.setattr(acceptance, "PAUSES_S", PAUSES_S)
    clinic, clock = clinic_of_long_searches(), FakeClock()
    busiest = next(iter(clinic.practitioners.values())).reference
    spoiler = Spoiler("/Communication", "recipient", busiest, total_too_high)
    async with SandboxServer(clinic, middlewares=[spoiler.middleware()]) as server:
        connect = partial(Source.open, clock=clock.clock())
        result = await sync(mirror_settings(server.url, database_dsn), connect=connect)
    assert result.reasons == {"too_few_entries": 1}
    assert clock.waits == [1.0, 3.0]


@pytest.mark.parametrize(
    "spoil", [total_right_on_the_first_page_alone, total_on_the_last_page_alone, first_page_that_changes]
)
async def test_a_search_that_contradicts_itself_and_fits_one_answer(
    spoil: Callable[[Bundle, int, int], None], database_dsn: str, database: asyncpg.Connection
) -> None:
    """One `total` that is the number of what was there when it was answered is enough: nothing is lost."""
    clinic = clinic_of_long_searches()
    busiest = next(iter(clinic.practitioners.values())).reference
    spoiler = Spoiler("/Communication", "recipient", busiest, spoil)
    async with SandboxServer(clinic, middlewares=[spoiler.middleware()]) as server:
        result = await sync(mirror_settings(server.url, database_dsn))
    assert result.outcome == Outcome.COMPLETE
    assert {one["id"] for one in clinic} <= await ids_of(database)


@pytest.mark.parametrize("messages", [150, 700])
async def test_a_message_that_is_served_and_counted_twice(
    messages: int, database_dsn: str, database: asyncpg.Connection
) -> None:
    """A join at the source: accepted, since the same message comes twice wherever the pages end. It is one row."""
    clinic = make_clinic(messages=messages, practitioners=3, patients=20, seed=2)
    busiest = next(iter(clinic.practitioners.values())).reference
    search = clinic.search

    def joined(parameter: str, value: str) -> Sequence[int]:
        found = search(parameter, value)
        return [*found[:9], *found[8:]] if value == busiest else found

    with patch.object(clinic, "search", joined):
        async with SandboxServer(clinic) as server:
            result = await sync(mirror_settings(server.url, database_dsn))
    assert result.outcome == Outcome.COMPLETE
    assert await ids_of(database) == {one["id"] for one in clinic}
    counted = "SELECT DISTINCT total - entries FROM canvas_ops.search WHERE value = $1"
    assert [row[0] for row in await database.fetch(counted, busiest)] == [1]


async def test_growth_costs_another_reading_and_no_other_walk(database_dsn: str, database: asyncpg.Connection) -> None:
    """A message created while a search is paged shifts its rows: it is read again, accepted, and all are landed."""
    clinic = clinic_of_long_searches()
    busiest = next(iter(clinic.practitioners.values())).reference

    def grow_once(bundle: Bundle, _offset: int, reads: int) -> None:
        if reads == 1 and bundle["total"] == before:
            clinic.put(message("grown", recipient=[{"reference": busiest}]))

    before = sum(one["recipient"][0]["reference"] == busiest for one in clinic)
    spoiler = Spoiler("/Communication", "recipient", busiest, grow_once)
    async with SandboxServer(clinic, middlewares=[spoiler.middleware()]) as server:
        result = await sync(mirror_settings(server.url, database_dsn))
    assert result.outcome == Outcome.COMPLETE
    walked = "SELECT walks, total, entries FROM canvas_ops.search WHERE value = $1 AND parameter = 'recipient'"
    assert tuple(await database.fetchrow(walked, busiest)) == (1, before + 1, before + 1)
    assert await ids_of(database) == {one["id"] for one in clinic}


async def test_a_roster_that_contradicts_itself(database_dsn: str, database: asyncpg.Connection) -> None:
    """Complete means complete for the roster: one not accepted makes the run incomplete and marks nobody as left."""
    clinic = make_clinic(messages=50, practitioners=4, patients=10)

    def short(bundle: Bundle, _offset: int, _reads: int) -> None:
        bundle["entry"].pop()

    spoiler = Spoiler("/Practitioner", "active", "true", short)
    spoil, spoiler.spoil = spoiler.spoil, None
    async with SandboxServer(clinic, middlewares=[spoiler.middleware()]) as server:
        settings = mirror_settings(server.url, database_dsn)
        assert (await sync(settings)).outcome == Outcome.COMPLETE
        spoiler.spoil = spoil
        clinic.put(message("said-meanwhile"))
        result = await sync(settings)
    assert (result.outcome, result.reasons) == (Outcome.INCOMPLETE, {"too_few_entries": 1})
    assert result.sums.accepted == result.sums.searches - 1
    assert await database.fetchval("SELECT count(*) FROM canvas.practitioner WHERE in_roster") == 4
    assert "said-meanwhile" in await ids_of(database)


@pytest.mark.parametrize("code", [400, 401])
async def test_a_refused_search_fails_alone(
    code: int, database_dsn: str, database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search that the source will not answer is reported as not accepted, and no other with it."""
    monkeypatch.setattr(patience, "REFUSED_TOKEN_S", 0.5)
    clinic = make_clinic(messages=50, practitioners=2, patients=10)
    target = next(iter(clinic.practitioners.values())).reference

    @web.middleware
    async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.query.get("sender") == target:
            return documented_refusal(code) if code == 400 else web.Response(status=code)
        return await handler(request)

    async with SandboxServer(clinic, middlewares=[refuse]) as server:
        result = await sync(mirror_settings(server.url, database_dsn))
    assert (result.outcome, result.reasons) == (Outcome.INCOMPLETE, {f"http_{code}": 1})
    assert await ids_of(database) == {one["id"] for one in clinic if one["sender"]["reference"] != target}
