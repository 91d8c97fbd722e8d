"""What neither lives nor dies: a worker that is stopped and comes back too late, a warehouse that hangs."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from typing import TYPE_CHECKING

from tests.faults.consistency import look, torn
from tests.faults.lanes import resource_of
from tests.faults.processes import Doorbell, run_to_end, running, sessions
from tests.faults.proof import ProofResult
from tests.faults.worlds import World, open_world
from tests.integration.mirroring import environment, until
from worker.jobs.run.derive import rules_of
from worker.sandbox.population import make_clinic

if TYPE_CHECKING:
    from tests.faults.proof import Size

DRAINED_WITHIN_S = 10.0
FIRST_PAGE = 6
"""The request for a first page of messages: a token, a probe and three roster searches come before it."""
ROSTER = 5

LOCK_SESSION = (
    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
    " WHERE datname = current_database() AND application_name LIKE 'message-mirror sync %'"
)


async def frozen_worker(size: Size, seed: int, server_url: str, *, sabotage: str = "") -> ProofResult:
    """Stop a worker while it waits for a page, end its lock session as time-outs would, and let others go on.

    When it comes back, with a page that is out of date by then, it must land nothing and say why it ends.
    """
    result = ProofResult("kills", seed)
    chance = random.Random(f"{seed}/frozen worker")  # noqa: S311 - guards nothing
    for number in range({"small": 4, "full": 12}[size]):
        clinic = make_clinic(messages=60, practitioners=2, patients=5, seed=chance.randrange(1000))
        bell = Doorbell()
        async with open_world(server_url, clinic, middlewares=[bell.middleware()]) as world:
            place = ROSTER if number % 4 > 1 else FIRST_PAGE
            found = await _come_back_late(world, bell, place, still_running=bool(number % 2), sabotage=sabotage)
        result.violations.extend(f"frozen worker: {one}" for one in found)
        result.count("workers frozen, and back too late")
    return result


async def _come_back_late(world: World, bell: Doorbell, place: int, *, still_running: bool, sabotage: str) -> list[str]:
    variables = environment(world.server.url, world.dsn, MIRROR_CONCURRENCY="1")
    bell.set(place, hold=True)
    async with running(variables, "sync", sabotage=sabotage) as late:
        await bell.rings(late)
        late.send(signal.SIGSTOP)
        assert await world.database.fetchval(LOCK_SESSION)
        for resource in list(world.clinic):
            world.clinic.put({**resource_of(world.clinic, resource["id"]), "payload": [{"contentString": "Newer."}]})
        held_back = bell.held
        bell.set(FIRST_PAGE if still_running else 0, hold=True)
        async with running(variables, "sync") as other:
            if still_running:
                await bell.rings(other)
                before = None
            else:
                done = await other.end()
                before = await look(world.database)
            late.send(signal.SIGCONT)
            held_back.set()
            ended = await late.end()
            bell.let_go()
            done = await other.end()
    after = await look(world.database)
    found = torn(after, [rules_of(world.settings)]) + await world.differences()
    if done.code != 0 or "resumed" not in done.out:
        found.append(f"the other process ended with {done.code}: {done.err[-300:]}")
    if before is not None and before != after:
        found.append("the late one changed something")
    said = "Another run holds the lock" if still_running else "took this run over"
    if ended.code != 75 or said not in ended.err or "Traceback" in ended.err:
        found.append(f"the late one ended with {ended.code}: {ended.err[-300:]}")
    return found


async def frozen_warehouse(size: Size, seed: int, server_url: str, *, sabotage: str = "") -> ProofResult:
    """Stop the warehouse's processes under a worker that is about to land, and tell it to stop: it ends in time."""
    result = ProofResult("kills", seed)
    for _ in range({"small": 1, "full": 3}[size]):
        bell = Doorbell()
        clinic = make_clinic(messages=60, practitioners=2, patients=5)
        async with open_world(server_url, clinic, middlewares=[bell.middleware()]) as world:
            variables = environment(world.server.url, world.dsn, MIRROR_CONCURRENCY="1")
            bell.set(FIRST_PAGE, hold=True)
            async with running(variables, "sync", sabotage=sabotage) as worker:
                await bell.rings(worker)
                backends = await sessions(world.database)
                for pid in backends:
                    os.kill(pid, signal.SIGSTOP)
                try:
                    bell.let_go()
                    await asyncio.sleep(0.2)  # so that it is most likely in the middle of a statement
                    worker.send(signal.SIGTERM)
                    async with asyncio.timeout(DRAINED_WITHIN_S):
                        ended = await worker.end()
                    if ended.code != 130:
                        result.violations.append(f"frozen warehouse: ended with {ended.code}: {ended.err[-300:]}")
                except TimeoutError:
                    result.violations.append("frozen warehouse: still there 10 s after SIGTERM")
                finally:
                    for pid in backends:
                        os.kill(pid, signal.SIGCONT)
            await until(lambda: _gone(world))
            done = await run_to_end(variables, "sync")
            if done.code != 0 or "resumed" not in done.out:
                result.violations.append(f"frozen warehouse: the next one ended with {done.code}: {done.err[-300:]}")
            result.violations.extend(f"frozen warehouse: {one}" for one in await world.differences())
        result.count("warehouses frozen under a worker told to stop")
    return result


async def _gone(world: World) -> bool:
    return not await sessions(world.database)
