"""A source that changes while it is read: what did not change is there after the run, what did after the next one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from tests.faults.script import Faults, Script
from tests.faults.worlds import open_world
from tests.integration.mirroring import ids_of, message
from worker.jobs.run import deletions
from worker.jobs.run.plan import Outcome
from worker.sandbox.population import Practitioner, make_clinic

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.typedefs import Handler, Middleware

    from worker.sandbox.population import Clinic

PAGE_MAX = 10


@dataclass
class Between:
    """A middleware that lets `move` happen just before the page at `offset` of one search is first served."""

    reference: str
    offset: int
    move: Callable[[], None]
    moved: bool = False
    totals: set[int] = field(default_factory=set)

    def middleware(self, clinic: Clinic) -> Middleware:
        @web.middleware
        async def watch(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.query.get("recipient") == self.reference:
                if request.query.get("_offset") == str(self.offset) and not self.moved:
                    self.moved = True
                    self.move()
                self.totals.add(len(clinic.search("recipient", self.reference)))
            return await handler(request)

        return watch


def clinic_of_long_searches() -> Clinic:
    return make_clinic(messages=140, practitioners=3, patients=10, seed=5)


def busiest(clinic: Clinic) -> str:
    return next(iter(clinic.practitioners.values())).reference


def received_by(clinic: Clinic, reference: str) -> list[str]:
    return [str(clinic.resource(number)["id"]) for number in clinic.search("recipient", reference)]


def send(clinic: Clinic, message_id: str, practitioner: str) -> None:
    """Let a patient write to a practitioner."""
    patient = next(iter(clinic.patients.values())).reference
    clinic.put(message(message_id, sender={"reference": patient}, recipient=[{"reference": practitioner}]))


def append(clinic: Clinic, reference: str, name: str) -> str:
    """Add a message to a search that stands at its very end; return its id."""
    for attempt in range(10_000):
        message_id = f"{name}-{attempt}"
        send(clinic, message_id, reference)
        if received_by(clinic, reference)[-1] == message_id:
            return message_id
        clinic.remove(message_id)
    raise AssertionError("no number stands at the end")


@pytest.mark.parametrize("mirrored_before", [False, True])
@pytest.mark.parametrize("place", [3, 13, 23])
async def test_a_swap_that_total_does_not_tell(place: int, *, mirrored_before: bool, warehouse_url: str) -> None:
    """One row vanishes before the next page, one appears at the end: no steady row is lost, the new one comes later."""
    clinic = clinic_of_long_searches()
    reference = busiest(clinic)
    before = received_by(clinic, reference)
    assert len(before) > 35
    appended: list[str] = []

    def swap() -> None:
        clinic.remove(before[place])
        appended.append(append(clinic, reference, "at-the-end"))

    between = Between(reference, 30, swap)
    faults = Faults(clinic, page_max=PAGE_MAX)
    async with open_world(warehouse_url, clinic) as world:
        if mirrored_before:
            await world.sync()
            await world.serve(clinic)
            skipped = before[30]
            clinic.put({**clinic.resource(clinic.number_of(skipped) or 0), "status": "completed"})
        await world.serve(clinic, middlewares=[between.middleware(clinic), faults.middleware])
        result = await world.sync()
        assert between.moved
        assert between.totals == {len(before)}
        assert result.outcome is Outcome.COMPLETE
        steady = {resource["id"] for resource in clinic} - set(appended)
        assert steady <= await ids_of(world.database)
        assert {one.partition(":")[0] for one in await world.differences()} <= {*appended, before[place]}

        await world.verify()
        assert (await world.sync()).outcome is Outcome.COMPLETE
        assert await world.differences() == []
        assert appended[0] in await ids_of(world.database)


async def test_verify_over_searches_of_many_pages(warehouse_url: str) -> None:
    """A patient's search of more than two pages, all of it new to a verification, is accepted and proves the mirror."""
    clinic = make_clinic(messages=90, practitioners=2, patients=2, seed=5)
    faults = Faults(clinic, page_max=PAGE_MAX)
    async with open_world(warehouse_url, clinic, middlewares=[faults.middleware]) as world:
        verified = await world.verify()
    assert (verified.clean, verified.passes) == (True, 2)


async def test_somebody_in_no_roster(warehouse_url: str) -> None:
    """Verify finds the message of a practitioner in no roster; every later sync finds that person's messages."""
    clinic = make_clinic(messages=40, practitioners=3, patients=8, seed=1)
    patient = next(iter(clinic.patients.values())).reference
    unlisted = {"reference": "Practitioner/99990000aaaabbbbccccddddeeeeffff"}

    def writes(name: str) -> None:
        clinic.put(message(name, sender=unlisted, recipient=[{"reference": patient}]))

    writes("found-by-verify")
    async with open_world(warehouse_url, clinic) as world:
        assert (await world.sync()).outcome is Outcome.COMPLETE
        assert "found-by-verify" not in await ids_of(world.database)
        verified = await world.verify()
        assert (verified.proven, verified.clean) == (True, False)
        assert verified.found.ids == {"missing": ["found-by-verify"]}
        for name in ("found-by-sync", "found-by-the-next-sync"):
            writes(name)
            assert (await world.sync()).outcome is Outcome.COMPLETE
            assert await world.differences() == []
        assert (await world.verify()).clean


async def test_many_that_were_found_missing_and_then_deleted(warehouse_url: str) -> None:
    """What verify asked the sync to look for, and is gone by then, is no mass deletion: there is no row to mark."""
    clinic = make_clinic(messages=40, practitioners=3, patients=8, seed=1)
    patient = next(iter(clinic.patients.values())).reference
    unlisted = {"reference": "Practitioner/99990000aaaabbbbccccddddeeeeffff"}
    unseen = [f"unseen-{number}" for number in range(deletions.DELETIONS_FLOOR + 10)]
    for message_id in unseen:
        clinic.put(message(message_id, sender=unlisted, recipient=[{"reference": patient}]))
    async with open_world(warehouse_url, clinic) as world:
        assert (await world.verify()).found.differences == {"missing": len(unseen)}
        deleted = next(resource["id"] for resource in clinic if resource["id"] not in unseen)
        for message_id in (*unseen, deleted):
            clinic.remove(message_id)
        result = await world.sync()
        assert (result.outcome, result.gone, result.deleted) == (Outcome.COMPLETE, 1, 1)
        assert await world.differences() == []


@pytest.mark.parametrize("messages", [30, 140])
async def test_a_scope_that_shrank(messages: int, warehouse_url: str) -> None:
    """When everything answers `total` 0, by id too, nothing is marked as deleted, be it much or little."""
    clinic = make_clinic(messages=messages, practitioners=3, patients=8, seed=1)
    faults = Faults(clinic)
    async with open_world(warehouse_url, clinic, middlewares=[faults.middleware]) as world:
        await world.sync()
        faults.begin(Script(lasting=((1, "scope_shrunk"),)))
        result = await world.sync()
        assert (result.outcome, result.deleted) == (Outcome.INCOMPLETE, 0)
        assert await world.database.fetchval("SELECT count(*) FROM canvas.message WHERE _deleted_at IS NOT NULL") == 0
        assert await world.differences() == []


async def test_a_practitioner_joins_and_one_leaves(warehouse_url: str) -> None:
    """Who is hired is searched for by the next run; who leaves is searched for all the same."""
    clinic = make_clinic(messages=40, practitioners=3, patients=8, seed=1)
    left = list(clinic.practitioners.values())[-1]
    async with open_world(warehouse_url, clinic) as world:
        await world.sync()
        del clinic.practitioners[left.id]
        hired = Practitioner("11112222333344445555666677778888", "Ada", "Moss", active=True, schedulable=True)
        clinic.practitioners[hired.id] = hired
        send(clinic, "to-the-new-one", hired.reference)
        send(clinic, "to-the-old-one", left.reference)
        assert (await world.sync()).outcome is Outcome.COMPLETE
        assert await world.differences() == []


@pytest.mark.parametrize(("also_gone", "outcome", "deleted"), [(2, Outcome.COMPLETE, 1), (3, Outcome.INCOMPLETE, 0)])
async def test_deletions_while_the_source_is_tried(
    also_gone: int, outcome: Outcome, deleted: int, warehouse_url: str
) -> None:
    """The source is tried with three messages that it has just shown: that two of them go meanwhile proves nothing."""
    clinic = make_clinic(messages=60, practitioners=3, patients=10)
    removed: list[str] = []

    @web.middleware
    async def remove(request: web.Request, handler: Handler) -> web.StreamResponse:
        asked = request.query.get("_id", "")
        if clinic.number_of(asked) is not None and len(removed) < also_gone:
            clinic.remove(asked)
            removed.append(asked)
        return await handler(request)

    async with open_world(warehouse_url, clinic, middlewares=[remove]) as world:
        await world.sync()
        clinic.remove(next(iter(clinic))["id"])
        result = await world.sync()
    assert len(removed) == also_gone
    assert (result.outcome, result.deleted) == (outcome, deleted)
