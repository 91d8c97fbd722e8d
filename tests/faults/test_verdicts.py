"""What verify says of a mirror: proven only if it is, what moved told from what was lost, and what mends it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from aiohttp import web

from tests.faults.faults_moment import documented_refusal
from tests.faults.outages import embedded_server, kill_postmaster
from tests.faults.script import Faults, Script
from tests.faults.worlds import open_world
from tests.integration.mirroring import ids_of, message, mirror_settings, until
from worker.cli.json_output import verification_as_json
from worker.cli.terminal import show_verification
from worker.jobs.run.begin import begin_anew
from worker.jobs.run.plan import Outcome
from worker.jobs.verify import job
from worker.jobs.verify.compare import compare
from worker.load.embedded.home import find_home
from worker.load.embedded.postmaster import postmaster
from worker.sandbox.population import make_clinic
from worker.sandbox.sandbox_server import SandboxServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from aiohttp.typedefs import Handler, Middleware

    from tests.faults.worlds import World
    from worker.load.postgres.database import Warehouse
    from worker.load.run_lock import RunLock
    from worker.sandbox.population import Clinic

STRANGER = {"reference": "Practitioner/99990000aaaabbbbccccddddeeeeffff"}


@pytest.fixture
def clinic() -> Clinic:
    return make_clinic(messages=40, practitioners=3, patients=8, seed=1)


def patient_of(clinic: Clinic, number: int = 0) -> dict[str, str]:
    return {"reference": list(clinic.patients.values())[number].reference}


def practitioner_of(clinic: Clinic) -> dict[str, str]:
    return {"reference": next(iter(clinic.practitioners.values())).reference}


def lose(clinic: Clinic, message_id: str, **fields: Any) -> None:
    """Let somebody write whom no list names: a sync does not find the message."""
    clinic.put(message(message_id, sender=STRANGER, recipient=[patient_of(clinic)], **fields))


def meanwhile(move: Callable[[], object]) -> AbstractContextManager[object]:
    """Let something happen between the sync of a verification and its passes."""

    async def moved(warehouse: Warehouse, lock: RunLock, job_name: str, scope: str) -> int:
        move()
        return await begin_anew(warehouse, lock, job_name, scope)

    return patch.object(job, "begin_anew", moved)


def answers_by_id(answer: Callable[[str], web.Response | None]) -> Middleware:
    """Answer searches by `_id` otherwise, where `answer` does."""

    @web.middleware
    async def other(request: web.Request, handler: Handler) -> web.StreamResponse:
        asked = request.query.get("_id")
        given = answer(asked) if asked is not None else None
        return given or await handler(request)

    return other


def nobody(_asked: str) -> web.Response:
    return web.json_response({"resourceType": "Bundle", "type": "searchset", "total": 0})


async def last_verified(world: World) -> object:
    return await world.database.fetchval("SELECT last_verified_as_of FROM canvas.freshness")


@pytest.mark.parametrize(("messages", "reason"), [(40, "source_unreliable"), (140, "too_many")])
async def test_a_scope_that_shrinks_meanwhile_proves_nothing(messages: int, reason: str, warehouse_url: str) -> None:
    """When everything, by id too, answers `total` 0 after the sync, the two empty passes that agree are no proof."""
    clinic = make_clinic(messages=messages, practitioners=3, patients=8, seed=1)
    lose(clinic, "lost")
    faults = Faults(clinic)
    shrinks = meanwhile(lambda: faults.begin(Script(lasting=((1, "scope_shrunk"),))))
    async with open_world(warehouse_url, clinic, middlewares=[faults.middleware]) as world:
        with shrinks:
            verified = await world.verify()
        assert (verified.proven, verified.clean, verified.reason) == (False, False, reason)
        assert await last_verified(world) is None


@pytest.mark.parametrize(("messages", "reason"), [(40, "source_unreliable"), (140, "too_many")])
async def test_a_scope_that_shrank_before_proves_nothing(messages: int, reason: str, warehouse_url: str) -> None:
    """Without a sync before, the rows look as if the mirror had them too many: the source denies them by id."""
    clinic = make_clinic(messages=messages, practitioners=3, patients=8, seed=1)
    faults = Faults(clinic)
    async with open_world(warehouse_url, clinic, middlewares=[faults.middleware]) as world:
        assert (await world.sync()).outcome is Outcome.COMPLETE
        faults.begin(Script(lasting=((1, "scope_shrunk"),)))
        verified = await world.verify(sync_first=False)
        assert (verified.proven, verified.reason, verified.entries) == (False, reason, 0)
        assert verification_as_json(verified)["proven"] is False
        assert await last_verified(world) is None


async def test_a_cover_that_cannot_be_read_whole_says_of_nothing_that_it_moved(
    clinic: Clinic, warehouse_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What lies in a search that failed is there by id, as the mirror has it, and did not move."""
    unread = patient_of(clinic)["reference"]

    @web.middleware
    async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
        refused = unread in (request.query.get("recipient"), request.query.get("sender"))
        return documented_refusal(400) if refused else await handler(request)

    async with open_world(warehouse_url, clinic, middlewares=[refuse]) as world:
        verified = await world.verify()
        assert (verified.reason, verified.agreed, verified.found.moved > 0) == ("http_400", False, True)
        capsys.readouterr()
        show_verification(verified)
        assert "moved" not in capsys.readouterr().out


async def test_a_source_that_knows_no_id_proves_nothing(clinic: Clinic, warehouse_url: str) -> None:
    """A search by `_id` that always answers 0 does not turn what is missing into what is gone, nor excuses it."""
    lose(clinic, "lost")
    async with open_world(warehouse_url, clinic, middlewares=[answers_by_id(nobody)]) as world:
        verified = await world.verify()
        assert (verified.clean, verified.reason, verified.found.unknown) == (False, "source_unreliable", 1)
        assert await last_verified(world) is None


async def test_what_is_gone_meanwhile_is_believed_of_a_source_that_knows_ids(
    clinic: Clinic, warehouse_url: str
) -> None:
    """A few messages removed between sync and passes leave the mirror proven."""
    doomed = [str(one["id"]) for one in clinic][:2]
    with meanwhile(lambda: [*map(clinic.remove, doomed)]):
        async with open_world(warehouse_url, clinic) as world:
            verified = await world.verify()
            assert (verified.clean, verified.found.gone, verified.found.moved) == (True, 2, 0)
            assert await last_verified(world) is not None


async def test_a_warehouse_that_crashes_before_the_comparison(clinic: Clinic) -> None:
    """What was seen is gone with the crash: nothing was compared, and nothing is proven."""
    lose(clinic, "lost")
    with embedded_server() as server:
        dsn = await asyncio.to_thread(server.start)

        async def is_dead() -> bool:
            return postmaster(find_home(server.directory, server.elsewhere)) is None

        async def crash_first(*arguments: Any, **named: Any) -> object:
            kill_postmaster(server)
            await until(is_dead)
            await asyncio.to_thread(server.start)
            return await compare(*arguments, **named)

        async with SandboxServer(clinic) as source:
            settings = mirror_settings(source.url, dsn)
            with patch.object(job, "compare", crash_first):
                verified = await job.verify(settings)
            assert (verified.proven, verified.reason, verified.entries) == (False, "sightings_lost", 41)
            again = await job.verify(settings, sync_first=False)
            assert (again.proven, again.found.ids) == (True, {"missing": ["lost"]})


@pytest.mark.parametrize("sent", ["2031-01-01T10:00:00+00:00", "2021-05-04T10:00:00+00:00"])
async def test_a_message_of_another_time_is_missing(sent: str, clinic: Clinic, warehouse_url: str) -> None:
    """Neither a `sent` in the future nor one long ago makes a message that was lost one that was written meanwhile."""
    lose(clinic, "lost", sent=sent)
    async with open_world(warehouse_url, clinic) as world:
        verified = await world.verify()
        assert (verified.proven, verified.found.moved, verified.found.ids) == (True, 0, {"missing": ["lost"]})


async def test_a_message_that_becomes_unusable_meanwhile(clinic: Clinic, warehouse_url: str) -> None:
    """The mirror holds just what its sync was shown: it moved. The next sync puts the new version in quarantine."""
    one = next(iter(clinic))
    with meanwhile(lambda: clinic.put({**one, "sent": "2024-02-30T10:00:00Z"})):
        async with open_world(warehouse_url, clinic) as world:
            verified = await world.verify()
            assert (verified.clean, verified.found.moved) == (True, 1)
            await world.sync()
            assert await world.differences() == []


async def test_an_unusable_entry_that_no_sync_was_shown(clinic: Clinic, warehouse_url: str) -> None:
    """It is a difference, and the next sync, which asks for it by id, puts it in quarantine."""
    lose(clinic, "lost", sent="2024-02-30T10:00:00Z")
    async with open_world(warehouse_url, clinic) as world:
        verified = await world.verify()
        assert (verified.proven, verified.found.ids) == (True, {"unaccounted": ["lost"]})
        await world.sync()
        assert await world.differences() == []
        assert (await world.verify()).clean


@pytest.mark.parametrize("column", ["body_text", "sent_at", "patient_id"])
async def test_a_row_that_was_altered_is_written_anew_by_replay(
    column: str, clinic: Clinic, warehouse_url: str
) -> None:
    """A column changed by hand is found by verify and mended by the replay that it advises."""
    async with open_world(warehouse_url, clinic) as world:
        await world.sync()
        whole = await world.database.fetch("SELECT * FROM canvas.message ORDER BY id")
        await world.database.execute(
            f"UPDATE canvas.message SET {column} = NULL WHERE id = $1",  # noqa: S608 - the names above
            whole[0]["id"],
        )
        assert (await world.verify()).found.ids == {"altered": [whole[0]["id"]]}
        assert (await world.replay()).rewritten == 1
        assert await world.database.fetch("SELECT * FROM canvas.message ORDER BY id") == whole
        assert (await world.verify()).clean
        assert (await world.replay()).rewritten == 0


async def test_an_old_mark_is_no_sign_of_moving(clinic: Clinic, warehouse_url: str) -> None:
    """What a backfill was shown long ago excuses no row that is out of date; the next sync asks for it by id."""

    def write(text: str) -> None:
        patient = patient_of(clinic)
        clinic.put(message("one-sided", text=text, sender={"display": "Front desk"}, recipient=[patient]))

    write("first")
    async with open_world(warehouse_url, clinic) as world:
        await world.backfill()
        write("edited since")
        verified = await world.verify()
        assert (verified.proven, verified.found.moved, verified.found.ids) == (True, 0, {"stale": ["one-sided"]})
        await world.sync()
        assert await world.differences() == []


async def test_an_edit_meanwhile_has_moved(clinic: Clinic, warehouse_url: str) -> None:
    """A sync that found everything unchanged was shown it all the same, be its fingerprints those of an earlier run."""
    one = next(iter(clinic))
    async with open_world(warehouse_url, clinic) as world:
        await world.sync()
        with meanwhile(lambda: clinic.put({**one, "payload": [{"contentString": "Edited."}]})):
            verified = await world.verify()
        assert (verified.clean, verified.found.moved) == (True, 1)


async def test_a_message_to_two_patients(clinic: Clinic, warehouse_url: str) -> None:
    """It is in two searches of the sweep and is one message: the mirror is proven."""
    both = [patient_of(clinic, 0), patient_of(clinic, 1)]
    clinic.put(message("to-two", sender=practitioner_of(clinic), recipient=both))
    async with open_world(warehouse_url, clinic) as world:
        verified = await world.verify()
        assert (verified.clean, verified.passes, verified.entries) == (True, 2, 41)


async def test_what_cannot_be_asked_for_is_left_for_the_next_sync(clinic: Clinic, warehouse_url: str) -> None:
    """A missing message whose search by `_id` fails is asked for again by the next sync."""
    lose(clinic, "lost")
    refusals = answers_by_id(refuse_once("lost"))
    async with open_world(warehouse_url, clinic, middlewares=[refusals]) as world:
        verified = await world.verify()
        assert (verified.reason, verified.found.unknown) == ("differences_not_answered", 1)
        assert (await world.sync()).outcome is Outcome.COMPLETE
        assert "lost" in await ids_of(world.database)


def refuse_once(message_id: str) -> Callable[[str], web.Response | None]:
    refusals: Iterator[web.Response] = iter([documented_refusal(400)])
    return lambda asked: next(refusals, None) if asked == message_id else None


async def test_a_walk_that_is_not_accepted_leaves_nothing(
    clinic: Clinic, warehouse_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a long walk had stored is forgotten with it: the pass is what its accepted walks saw."""
    monkeypatch.setattr("worker.jobs.run.buffer.BATCH_ENTRIES", 2)
    gone, walked = str(next(iter(clinic))["id"]), iter([True])
    faults = Faults(clinic, page_max=3)

    @web.middleware
    async def remove(request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await handler(request)
        person = request.query.get("recipient") or request.query.get("sender") or ""
        if person.startswith("Patient/") and request.query.get("_offset") and next(walked, False):
            clinic.remove(str(next(iter(clinic))["id"]))
        return answer

    async with open_world(warehouse_url, clinic, middlewares=[remove, faults.middleware]) as world:
        verified = await world.verify()
        assert (verified.clean, verified.found.gone, verified.entries) == (True, 1, 39)
        assert gone in await ids_of(world.database)


async def test_what_passes_show_and_its_id_denies_is_not_called_gone(clinic: Clinic, warehouse_url: str) -> None:
    """The practitioner's searches hide a message, so does its id; the patient's show it. Something is lost."""
    hidden = str(next(iter(clinic))["id"])

    @web.middleware
    async def hide(request: web.Request, handler: Handler) -> web.StreamResponse:
        by = request.query.get("sender") or request.query.get("recipient") or ""
        answer = await handler(request)
        if by.startswith("Practitioner/") or request.query.get("_id") == hidden:
            assert isinstance(answer, web.Response)
            assert isinstance(answer.body, bytes)
            bundle = json.loads(answer.body)
            kept = [one for one in bundle.get("entry", []) if one["resource"]["id"] != hidden]
            bundle["total"] -= len(bundle.get("entry", [])) - len(kept)
            return web.json_response(bundle | {"entry": kept}, content_type="application/fhir+json")
        return answer

    async with open_world(warehouse_url, clinic, middlewares=[hide]) as world:
        for _ in range(2):
            verified = await world.verify()
            assert (verified.clean, verified.reason) == (False, "differences_not_answered")
