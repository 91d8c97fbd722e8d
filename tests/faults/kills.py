"""Real signals: real processes of the mirror are killed or told to stop at any moment, and two work at once.

Moments are seeded: a request that the source sees, a while after a session appears in the warehouse, a while after the
process was started. What may not happen: a torn table, a search that counts as accepted and has not landed, a run that
is not resumed, a mirror that differs from its source after the next run, a change that history holds twice.
"""

from __future__ import annotations

import asyncio
import random
import signal
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg

from tests.faults.frozen import frozen_warehouse, frozen_worker
from tests.faults.lanes import Lane
from tests.faults.outages import embedded_server_killed, outages
from tests.faults.processes import Doorbell, has_session, run_to_end, running
from tests.faults.proof import ProofResult
from tests.faults.worlds import fresh_database, open_world
from tests.integration.mirroring import until
from worker.load.postgres.migrations import known_files
from worker.sandbox.population import make_clinic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tests.faults.processes import Worker
    from tests.faults.proof import Size
    from tests.integration.mirroring import Finished

DRAINED_WITHIN_S = 10.0
LANES = 2
SIGNALS = (signal.SIGKILL, signal.SIGTERM)

# How many processes of each job are killed, every other one by SIGTERM.
KILLS: Mapping[Size, Mapping[str, int]] = {
    "small": {"sync": 4, "backfill": 2, "verify": 2, "replay": 2, "migrate": 2},
    "full": {"sync": 68, "backfill": 40, "verify": 32, "replay": 36, "migrate": 24},
}
PAIRS: Mapping[Size, int] = {"small": 2, "full": 16}
MISSES_MAX = 20


async def run(size: Size, seed: int, server_url: str) -> ProofResult:
    """Kill processes at any moment; then freeze workers and warehouses, and let source and warehouse go away."""
    result = await kills(size, seed, server_url)
    result.add(await frozen_worker(size, seed, server_url))
    result.add(await frozen_warehouse(size, seed, server_url))
    result.add(await embedded_server_killed(size, seed))
    result.add(await outages(size, seed, server_url))
    return result


async def kills(size: Size, seed: int, server_url: str) -> ProofResult:
    """Kill processes in lanes side by side: each job, by either signal; and let two work at once now and then."""
    result = ProofResult("kills", seed)
    planned = [(job, SIGNALS[n % 2]) for job, number in KILLS[size].items() for n in range(number)]
    chance = random.Random(seed)  # noqa: S311 - guards nothing
    chance.shuffle(planned)
    # The first of a lane is of everything; a replay or a verification would find nothing yet.
    planned.sort(key=lambda one: one[0] != "sync")

    async def fill(number: int) -> None:
        first, *others = planned[number::LANES]
        async with open_lane(f"{seed}/{number}", server_url, result) as lane:
            lane.chance.shuffle(others)
            for job, signal_number in (first, *others):
                if job == "migrate":
                    await kill_migrate(lane, signal_number)
                else:
                    await kill_once(lane, job, signal_number)
            for _ in range(PAIRS[size] // LANES):
                await two_at_once(lane)

    await asyncio.gather(*map(fill, range(LANES)))
    return result


@asynccontextmanager
async def open_lane(seed: str, server_url: str, result: ProofResult, sabotage: str = "") -> AsyncIterator[Lane]:
    """Make a clinic of its own and whatever else a lane has."""
    chance, bell = random.Random(seed), Doorbell()  # noqa: S311 - guards nothing
    clinic = make_clinic(messages=260, practitioners=3, patients=8, seed=chance.randrange(1000))
    async with open_world(server_url, clinic, middlewares=[bell.middleware()]) as world:
        yield Lane(world, bell, chance, result, server_url, sabotage)


async def kill_once(lane: Lane, job: str, number: signal.Signals, *, at: int | None = None) -> None:
    """Kill a process of a job, and see that what it leaves is sound and that the next one ends what it began.

    `at` is the request at which it is killed; without it the moment is left to chance.
    """
    ended: Finished | None = None
    for _ in range(MISSES_MAX):
        lane.change(job)
        async with running(lane.variables, job, sabotage=lane.sabotage) as worker:
            where = f"{job}, {number.name} {await moment(lane, job, worker, at)}"
            ended = await end_by(lane, worker, number, where)
        if ended is not None:
            break
        await finish(lane, job, f"{job} alone")
    else:
        lane.violated(f"{job}, {number.name}", [f"no effect, {MISSES_MAX} times"])
        return
    lane.result.count(f"{job} killed by {number.name}")
    await until(lane.sessions_are_gone)
    lane.violated(where, await lane.unsound())
    died = await lane.open_run("sync", "backfill")
    if number is signal.SIGTERM and died is not None and ended.err and "resumes" not in ended.err:
        lane.violated(where, ["it does not say that its run can be resumed"])
    await finish(lane, job, where, died)


async def moment(lane: Lane, job: str, worker: Worker, at: int | None) -> str:
    """Wait for a moment of the process's life, or for its end; return which it was."""
    requests, all_s = lane.lasts.get(job, (at or 0, 1.0))
    kind = lane.chance.choice(
        ("request", "request", "session", "start") if requests else ("session", "session", "start")
    )
    share = lane.chance.random()
    if at is not None or kind == "request":
        at = at or lane.chance.randint(1, requests)
        lane.bell.set(at)
        await lane.bell.rings(worker)
        await asyncio.sleep(share * 0.03)  # after an answer the warehouse is at work
        return f"at request {at}"
    if kind == "session":
        await has_session(lane.world.database, worker)
        await asyncio.sleep(share * all_s / 2)
        return f"{share * all_s / 2:.3f} s after its first session"
    await asyncio.sleep(share * all_s)
    return f"{share * all_s:.3f} s after its start"


async def end_by(lane: Lane, worker: Worker, number: signal.Signals, where: str) -> Finished | None:
    """Send the signal, and perhaps another while it drains, and judge the end. None if it came too late."""
    if not worker.send(number):
        return None
    if number is signal.SIGTERM and lane.chance.random() < 0.5:
        await asyncio.sleep(lane.chance.random() * 0.1)
        if worker.send(lane.chance.choice((signal.SIGTERM, signal.SIGINT))):
            lane.result.count("second signals while draining")
    try:
        async with asyncio.timeout(DRAINED_WITHIN_S):
            ended = await worker.end()
    except TimeoutError:
        lane.violated(where, [f"still there {DRAINED_WITHIN_S:.0f} s after the signal"])
        worker.send(signal.SIGKILL)
        return await worker.end()
    if ended.code == 0:
        return None
    # Before its first line of Python a process dies of SIGTERM as any other does.
    right = {-signal.SIGKILL} if number is signal.SIGKILL else {130} if ended.err else {130, -signal.SIGTERM}
    if ended.code not in right or "Traceback" in ended.err:
        lane.violated(where, [f"ended with {ended.code}: {ended.err[-300:]}"])
    return ended


async def finish(lane: Lane, job: str, where: str, died: int | None = None) -> None:
    """Run the job to its end: it must take up the run that `died`, and leave the mirror equal to the source."""
    lane.bell.set(0)
    began = time.monotonic()
    done = await run_to_end(lane.variables, job, sabotage=lane.sabotage)
    lane.lasts[job] = (lane.bell.count, time.monotonic() - began)
    if done.code != 0:
        lane.violated(where, [f"the next one ended with {done.code}: {done.err[-300:]}"])
    if died is not None:
        outcome = await lane.world.database.fetchval("SELECT outcome FROM canvas_ops.run WHERE id = $1", died)
        if outcome != "complete":
            lane.violated(where, [f"the next one did not take up run {died}, which is {outcome}"])
        lane.result.count("runs resumed")
    lane.is_mirrored = True
    lane.violated(where, await lane.wrong())


async def two_at_once(lane: Lane) -> None:
    """Start a second process while one is at work, or both together: one does the work, nothing is twice."""
    job, other = lane.chance.choice(("sync", "backfill")), lane.chance.choice(("sync", "backfill", "verify", "replay"))
    at = lane.chance.choice((0, lane.chance.randint(1, 8)))
    lane.change(job)
    lane.bell.set(at, hold=bool(at))
    async with running(lane.variables, job, sabotage=lane.sabotage) as one:
        if at:
            await lane.bell.rings(one)
        second = await run_to_end(lane.variables, other, sabotage=lane.sabotage) if at else None
        lane.bell.let_go()
        second = second or await run_to_end(lane.variables, other, sabotage=lane.sabotage)
        first = await one.end()
    where = f"{job} and {other} at once" + (f", the second at request {at}" if at else "")
    codes = (first.code, second.code)
    if (codes != (0, 75)) if at else (0 not in codes or not set(codes) <= {0, 75}):
        lane.violated(where, [f"ended with {codes}: {first.err[-200:]} {second.err[-200:]}"])
    lane.result.count("two at once")
    await until(lane.sessions_are_gone)
    await finish(lane, "sync", where)


async def kill_migrate(lane: Lane, number: signal.Signals) -> None:
    """Kill a migration of an empty database: the schema is there whole or not at all.

    Of the two that follow at once one makes it whole; the other finds it so, or leaves it to the one that has the lock.
    """
    ended: Finished | None = None
    every_file = {file.name for file in known_files()}
    while ended is None:
        async with fresh_database(lane.server_url) as dsn, running({"WAREHOUSE_DSN": dsn}, "migrate") as worker:
            database = await asyncpg.connect(dsn)
            try:
                await has_session(database, worker)
                wait_s = lane.chance.random() * 0.3
                await asyncio.sleep(wait_s)
                where = f"migrate, {number.name} {wait_s:.3f} s after its first session"
                ended = await end_by(lane, worker, number, where)
                if await applied_files(database) not in (set(), every_file):
                    lane.violated(where, ["half a schema"])
                both = await asyncio.gather(*(run_to_end({"WAREHOUSE_DSN": dsn}, "migrate") for _ in range(2)))
                codes = {one.code for one in both}
                if 0 not in codes or not codes <= {0, 75} or await applied_files(database) != every_file:
                    lane.violated(
                        where, [f"the next two ended with {[one.code for one in both]}: {both[0].err[-300:]}"]
                    )
            finally:
                await database.close()
    lane.result.count(f"migrate killed by {number.name}")


async def applied_files(database: asyncpg.Connection) -> set[str]:
    """Return the names of the migrations and views that are applied."""
    if await database.fetchval("SELECT to_regclass('canvas_ops.migration')") is None:
        return set()
    return {row["name"] for row in await database.fetch("SELECT name FROM canvas_ops.migration")}
