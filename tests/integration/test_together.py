"""What a job does at once ends together: after a failure nothing of it goes on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from aiohttp import web

from tests.integration.mirroring import GONE_FOR_A_DAY, message, mirror_settings
from worker.errors import SourceAway
from worker.jobs.backfill import estimate
from worker.jobs.run.plan import Selection
from worker.jobs.run.together import together
from worker.jobs.sync import sync
from worker.jobs.verify.job import verify
from worker.sandbox.population import make_clinic
from worker.sandbox.sandbox_server import SandboxServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp.typedefs import Handler

    from worker.settings import Settings

AT_ONCE = 3


async def test_the_first_failure_is_raised_when_all_others_have_ended() -> None:
    ended = 0

    async def wait() -> None:
        nonlocal ended
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended += 1

    async def fail() -> None:
        await asyncio.sleep(0)
        raise SourceAway("away")

    with pytest.raises(SourceAway):
        await together([wait(), fail(), wait()])
    assert ended == 2


async def test_results_come_in_the_order_of_the_work() -> None:
    second_is_done = asyncio.Event()

    async def first() -> int:
        await second_is_done.wait()
        return 1

    async def second() -> int:
        second_is_done.set()
        return 2

    assert await together([first(), second()]) == [1, 2]


async def run_verify(settings: Settings) -> object:
    return await verify(settings, sync_first=False)


async def run_estimate(settings: Settings) -> object:
    return await estimate(settings, Selection(by_patient=True))


def by_patient(request: web.Request) -> bool:
    return any(value.startswith("Patient/") for value in request.query.values())


def by_id(request: web.Request) -> bool:
    return request.query.get("_id", str(UUID(int=0))) != str(UUID(int=0))


@pytest.mark.parametrize(
    ("job", "is_held", "work"),
    [(run_verify, by_patient, "_some"), (run_verify, by_id, "_ask"), (run_estimate, by_patient, "ask")],
)
async def test_a_job_whose_source_goes_away_asks_nothing_more(
    job: Callable[[Settings], Awaitable[object]], is_held: Callable[[web.Request], bool], work: str, database_dsn: str
) -> None:
    """One request is told that the source is gone, while two others are under way."""
    held, over = 0, asyncio.Event()
    watching = False

    @web.middleware
    async def hold(request: web.Request, handler: Handler) -> web.StreamResponse:
        nonlocal held
        if not watching or not is_held(request):
            return await handler(request)
        held += 1
        if held == AT_ONCE:
            return web.Response(status=503, headers=GONE_FOR_A_DAY)
        await over.wait()
        return await handler(request)

    clinic = make_clinic(messages=60, practitioners=4, patients=10)
    async with SandboxServer(clinic, middlewares=[hold]) as server:
        settings = mirror_settings(server.url, database_dsn, MIRROR_CONCURRENCY=str(AT_ONCE))
        await sync(settings)
        somebody = next(iter(clinic.patients.values())).reference
        for number in range(AT_ONCE):
            clinic.put(message(f"missed-{number}", recipient=[{"reference": somebody}]))
        watching = True
        with pytest.raises(SourceAway):
            await job(settings)
        under_way = [task.get_coro().__qualname__.rpartition(".")[2] for task in asyncio.all_tasks()]  # type: ignore[union-attr]
        over.set()
    assert work not in under_way
