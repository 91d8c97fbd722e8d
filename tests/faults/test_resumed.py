"""Runs that died and go on: what was sent since is there, or the run says from when on it cannot have seen it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.faults.script import Faults, Script
from tests.faults.test_drift import send
from tests.faults.worlds import open_world
from tests.integration.mirroring import ids_of
from worker.errors import SourceAway
from worker.jobs.run.plan import Outcome, Selection
from worker.sandbox.population import make_clinic

if TYPE_CHECKING:
    from tests.faults.worlds import World


async def _half_a_run(world: World, faults: Faults) -> str:
    """Let a run die; send a message to somebody whose search had finished, and return its id."""
    faults.begin(Script(lasting=((7, "unavailable"),)))
    with pytest.raises(SourceAway):
        await world.sync()
    faults.begin()
    finished = await world.database.fetch("SELECT parameter, value FROM canvas_ops.search WHERE status = 'accepted'")
    person = next(row["value"] for row in finished if row["parameter"] == "recipient")
    send(world.clinic, "sent-in-between", person)
    return "sent-in-between"


async def test_a_run_killed_yesterday(warehouse_url: str) -> None:
    """Today's run begins anew: it has the message that was sent after that person's search had finished."""
    clinic = make_clinic(messages=40, practitioners=3, patients=8, seed=1)
    faults = Faults(clinic)
    async with open_world(warehouse_url, clinic, middlewares=[faults.middleware]) as world:
        sent_in_between = await _half_a_run(world, faults)
        await world.database.execute("UPDATE canvas_ops.run SET started_at = started_at - interval '1 day'")
        result = await world.sync()
        assert (result.outcome, result.resumed) == (Outcome.COMPLETE, False)
        assert sent_in_between in await ids_of(world.database)
        assert await world.differences() == []
        outcomes = await world.database.fetch("SELECT outcome FROM canvas_ops.run ORDER BY id")
        assert [row["outcome"] for row in outcomes] == ["interrupted", "complete"]


async def test_a_run_killed_just_now(warehouse_url: str) -> None:
    """It is resumed, asks nobody twice, and says so: `as_of` lies before what it cannot have seen."""
    clinic = make_clinic(messages=40, practitioners=3, patients=8, seed=1)
    faults = Faults(clinic)
    async with open_world(warehouse_url, clinic, middlewares=[faults.middleware]) as world:
        sent_in_between = await _half_a_run(world, faults)
        sent_at = await world.database.fetchval("SELECT clock_timestamp()")
        result = await world.sync()
        assert (result.outcome, result.resumed) == (Outcome.COMPLETE, True)
        freshness = await world.database.fetchrow("SELECT * FROM canvas.freshness")
        assert freshness["last_complete_run_id"] == result.run_id
        assert freshness["as_of"] < sent_at
        assert [one.partition(":")[0] for one in await world.differences()] == [sent_in_between]

        world.settings = replace(world.settings, resume_within=timedelta(0))
        assert (await world.sync()).outcome is Outcome.COMPLETE
        assert await world.differences() == []


@pytest.mark.parametrize(("within", "is_there"), [(timedelta(hours=6), True), (timedelta(days=365), False)])
async def test_a_backfill_killed_yesterday(within: timedelta, is_there: bool, warehouse_url: str) -> None:
    """It goes on, and reads again what it had read longer than `MIRROR_RESUME_WITHIN` ago, but nothing else twice."""
    clinic = make_clinic(messages=40, practitioners=3, patients=8, seed=1)
    faults = Faults(clinic)
    everybody = Selection(practitioners=tuple(clinic.practitioners))
    async with open_world(warehouse_url, clinic, middlewares=[faults.middleware]) as world:
        world.settings = replace(world.settings, resume_within=within)
        faults.begin(Script(lasting=((6, "unavailable"),)))
        with pytest.raises(SourceAway):
            await world.backfill(everybody)
        faults.begin()
        await world.database.execute("UPDATE canvas_ops.run SET started_at = started_at - interval '1 day'")
        old, *young = await world.database.fetch(
            "SELECT id, value FROM canvas_ops.search WHERE status = 'accepted' ORDER BY parameter"
        )
        await world.database.execute(
            "UPDATE canvas_ops.search SET walk_started_at = walk_started_at - interval '1 day' WHERE id = $1", old["id"]
        )
        send(clinic, "sent-in-between", old["value"])
        result = await world.backfill(everybody)
        assert (result.outcome, result.resumed) == (Outcome.COMPLETE, True)
        walks = {
            row["id"]: row["walks"] for row in await world.database.fetch("SELECT id, walks FROM canvas_ops.search")
        }
        assert walks[old["id"]] == 1 + is_there
        assert {walks[search["id"]] for search in young} == {1}
        assert ("sent-in-between" in await ids_of(world.database)) is is_there


async def test_a_quick_look_after_a_night_that_died(warehouse_url: str) -> None:
    """`sync --quick` leaves it open: the next full sync goes on with it."""
    clinic = make_clinic(messages=40, practitioners=3, patients=8, seed=1)
    faults = Faults(clinic)
    async with open_world(warehouse_url, clinic, middlewares=[faults.middleware]) as world:
        await _half_a_run(world, faults)
        assert (await world.sync(quick=True)).outcome is Outcome.COMPLETE
        result = await world.sync()
        assert (result.outcome, result.resumed) == (Outcome.COMPLETE, True)
        runs = await world.database.fetch("SELECT scope, outcome FROM canvas_ops.run ORDER BY id")
        assert [tuple(run) for run in runs] == [("full", "complete"), ("quick", "complete")]
        assert await world.differences() == []
