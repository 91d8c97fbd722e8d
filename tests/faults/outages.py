"""Outages in the middle of a night: source or warehouse die and come back, and the very same run ends complete."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import asyncpg

from tests.conftest import QUICK
from tests.faults.processes import Doorbell, run_to_end, running
from tests.faults.proof import ProofResult
from tests.faults.worlds import differences, fresh_database
from tests.integration.mirroring import environment
from worker.load.embedded import EmbeddedServer
from worker.load.embedded.home import find_home
from worker.load.embedded.postmaster import postmaster
from worker.sandbox.population import make_clinic
from worker.sandbox.sandbox_server import SandboxServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from tests.faults.processes import Worker
    from tests.faults.proof import Size
    from worker.sandbox.population import Clinic

OUTAGE_S = {"small": 0.0, "full": 60.0}
MESSAGES = {"small": 1_500, "full": 20_000}
WAITS = {"source": "source did not answer", "warehouse": "the warehouse did not answer"}


async def outages(size: Size, seed: int, server_url: str) -> ProofResult:
    """Let the source die in a nightly run and come back, and in another the warehouse."""
    result = ProofResult("kills", seed)
    with embedded_server() as warehouse:
        for found in await asyncio.gather(source_dies(size, seed, server_url), warehouse_dies(size, seed, warehouse)):
            result.violations.extend(found)
            result.count("outages in a nightly run")
    result.count("messages of each of those runs", MESSAGES[size])
    return result


async def source_dies(size: Size, seed: int, server_url: str) -> list[str]:
    """Stop the source in the middle of a run, start it again later, and return what was lost or had to be done."""
    bell = Doorbell()
    clinic = _clinic(size, seed)
    source = SandboxServer(clinic, middlewares=[bell.middleware()])
    await source.start()
    async with fresh_database(server_url) as dsn:
        address = urlsplit(source.url)

        async def outage(worker: Worker) -> None:
            await source.stop()
            await _lasting(size, worker, "source")
            await source.start(port=address.port or 0)

        try:
            return await _night(environment(source.url, dsn), bell, clinic, outage, "source")
        finally:
            await source.stop()


async def warehouse_dies(size: Size, seed: int, warehouse: EmbeddedServer) -> list[str]:
    """Kill the warehouse in the middle of a run, start it again later, and return what was lost or had to be done."""
    bell = Doorbell()
    clinic = _clinic(size, seed)
    dsn = await asyncio.to_thread(warehouse.start)

    async def outage(worker: Worker) -> None:
        kill_postmaster(warehouse)
        await _lasting(size, worker, "warehouse")
        await asyncio.to_thread(warehouse.start)

    async with SandboxServer(clinic, middlewares=[bell.middleware()]) as source:
        return await _night(environment(source.url, dsn), bell, clinic, outage, "warehouse")


def _clinic(size: Size, seed: int) -> Clinic:
    return make_clinic(messages=MESSAGES[size], practitioners=MESSAGES[size] // 300, patients=50, seed=seed)


async def _lasting(size: Size, worker: Worker, who: str) -> None:
    await worker.says(WAITS[who], times=3)
    await asyncio.sleep(OUTAGE_S[size])


async def _night(
    variables: dict[str, str], bell: Doorbell, clinic: Clinic, outage: Callable[[Worker], Awaitable[None]], who: str
) -> list[str]:
    bell.set(clinic.message_count // 100)  # about half of its requests: rosters, short pages and first pages again
    async with running(variables, "sync") as worker:
        await bell.rings(worker)
        await outage(worker)
        done = await worker.end()
    found = []
    if done.code != 0 or WAITS[who] not in done.err:
        found.append(f"{who} away: the run ended with {done.code}: {done.err[-300:]}")
    database = await asyncpg.connect(variables["WAREHOUSE_DSN"])
    try:
        found += [f"{who} away: {one}" for one in (await differences(database, clinic))[:5]]
        runs = [tuple(row) for row in await database.fetch("SELECT outcome, new FROM canvas_ops.run")]
    finally:
        await database.close()
    if runs != [("complete", clinic.message_count)]:
        found.append(f"{who} away: the runs are {runs}")
    return found


async def embedded_server_killed(size: Size, seed: int) -> ProofResult:
    """Kill the embedded server under a sync that started it: exit 4, and the next sync starts it and goes on."""
    result = ProofResult("kills", seed)
    for number in range({"small": 1, "full": 4}[size]):
        bell = Doorbell()
        clinic = make_clinic(messages=300, practitioners=3, patients=8, seed=number)
        with embedded_server() as warehouse:
            async with SandboxServer(clinic, middlewares=[bell.middleware()]) as source:
                variables = environment(source.url, "", WAREHOUSE_DIR=str(warehouse.directory), MIRROR_PATIENCE="2s")
                bell.set(6 + number, hold=True)
                async with running(variables, "sync") as worker:
                    await bell.rings(worker)
                    kill_postmaster(warehouse)
                    bell.let_go()
                    ended = await worker.end()
                done = await run_to_end(variables, "sync")
            if ended.code != 4 or "Traceback" in ended.err or "WAREHOUSE_DSN" in ended.err:
                result.violations.append(f"embedded server killed: ended with {ended.code}: {ended.err[-300:]}")
            database = await asyncpg.connect(warehouse.dsn())
            try:
                found = await differences(database, clinic)
                # Not two: the crash may have taken the beginning of the first back with it, or the next resumed it.
                runs = [row["outcome"] for row in await database.fetch("SELECT outcome FROM canvas_ops.run")]
            finally:
                await database.close()
            if done.code != 0 or runs != ["complete"]:
                found.append(f"the next ended with {done.code}, runs are {runs}: {done.err[-300:]}")
            result.violations.extend(f"embedded server killed: {one}" for one in found[:5])
        result.count("embedded servers killed under a sync")
    return result


@contextmanager
def embedded_server() -> Iterator[EmbeddedServer]:
    """Give an embedded server of one's own, not started yet, and remove it in the end."""
    with tempfile.TemporaryDirectory(prefix="message-mirror-proof-") as directory:
        Path(directory).chmod(0o711)  # the account that root's server runs as must pass
        server = EmbeddedServer(Path(directory, "own"), elsewhere=Path(directory, "elsewhere"), extra_settings=QUICK)
        try:
            yield server
        finally:
            server.remove()


def kill_postmaster(server: EmbeddedServer) -> None:
    """End the server as a crash does; what it leaves behind is its next start's business."""
    process = postmaster(find_home(server.directory, server.elsewhere))
    assert process is not None
    process.send_signal(signal.SIGKILL)
