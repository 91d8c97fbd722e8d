"""Cut everywhere: the connection to the warehouse ends at every message of every job, and nothing is lost or torn.

Each trial begins in the same state, is cut once, and is looked at by a reader of its own at the cut, at the job's end,
and after a second run without cuts. At every message a request is lost (never delivered) and a reply (carried out,
nobody told); at some also a request, unnoticed by the server, whose side keeps its locks for a while, and a reply
together with the warehouse for good, so that the second run takes the first one up.
"""

from __future__ import annotations

import asyncio
import tempfile
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

import asyncpg

from tests.faults.cut_cases import open_jobs
from tests.faults.cutting_proxy import SOCKET_NAME, Cut, CuttingProxy
from tests.faults.proof import ProofResult, Size, be_quiet
from tests.faults.worlds import fresh_database
from tests.integration.mirroring import mirror_settings
from worker.errors import MirrorError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from tests.faults.cut_jobs import Job

PATIENT = "60s"
IMPATIENT = "0.5s"
HANGS_AFTER_S = 90
UNNOTICED_S = 0.4
LANES: dict[Size, int] = {"small": 2, "full": 3}
PROCESSES: dict[Size, int] = {"small": 1, "full": 2}
RARER: dict[Size, int] = {"small": 2, "full": 8}
SMALL_CUTS = 3


async def run(size: Size, seed: int, server_url: str) -> ProofResult:
    """Cut every job: at all its messages, in two processes, or for the small size at a few that the seed chooses."""
    if size == "small":
        return await prove_share(size, seed, server_url)
    shares, loop = range(PROCESSES[size]), asyncio.get_running_loop()
    result = ProofResult("cuts", seed)
    with ProcessPoolExecutor(len(shares), mp_context=get_context("spawn"), initializer=be_quiet) as pool:
        work = [loop.run_in_executor(pool, _prove_share, size, seed, server_url, share) for share in shares]
        for share in await asyncio.gather(*work):
            result.add(share)
    return result


def _prove_share(size: Size, seed: int, server_url: str, share: int) -> ProofResult:
    return asyncio.run(prove_share(size, seed, server_url, share))


async def prove_share(size: Size, seed: int, server_url: str, share: int = 0) -> ProofResult:
    """Make every `PROCESSES`-th cut of each job, beginning with the one at `share`."""
    result = ProofResult("cuts", seed)
    async with open_jobs(seed) as jobs:
        for job in jobs:
            await prove(job, result, server_url, size, share)
    return result


async def prove(job: Job, result: ProofResult, server_url: str, size: Size, share: int = 0) -> None:
    """Make a share of the cuts of a job that `size` asks for, several trials at a time."""
    async with AsyncExitStack() as stack:
        lanes = [await stack.enter_async_context(open_lane(job, server_url)) for _ in range(LANES[size])]
        messages = len(await lanes[0].record())
        step = job.step if size == "full" else messages // SMALL_CUTS
        every = range(1 + result.seed % step, messages + 1, step)
        kinds = cuts_at(every, every[:: RARER[size]])
        if share == 0:
            result.count(f"{job.name}: messages", messages)
        waiting = islice(kinds.items(), share, None, PROCESSES[size])
        await asyncio.gather(*(_take_turns(lane, result, waiting) for lane in lanes))


def cuts_at(every: Sequence[int], some: Sequence[int]) -> dict[Cut, str]:
    """Return the cuts, and what kind they are: the plain ones at all of these messages, the others at some."""
    return {
        **{Cut(at, "request"): "request lost" for at in every},
        **{Cut(at, "reply"): "reply lost" for at in every},
        **{Cut(at, "request", unnoticed_s=UNNOTICED_S): "unnoticed by the server" for at in some},
        **{Cut(at, "reply", for_good=True): "for good" for at in some},
    }


async def _take_turns(lane: Lane, result: ProofResult, waiting: Iterator[tuple[Cut, str]]) -> None:
    name = lane.job.name
    for cut, kind in waiting:
        trial = await lane.try_cut(cut)
        result.count(f"{name}: {kind}")
        result.count("runs that recovered by themselves" if trial.recovered else "runs resumed by the next")
        result.violations.extend(f"{name}, {kind} at {cut.at}: {line}" for line in trial.violations)


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one cut: whether the run reached its end all the same, and what contradicts the proof."""

    recovered: bool
    violations: list[str]


@dataclass(frozen=True, slots=True)
class Lane:
    """A database in which one trial after the other begins in the same state, and where its proxy listens."""

    job: Job
    dsn: str
    database: asyncpg.Connection
    restore: str
    directory: Path

    async def record(self) -> list[bytes]:
        """Run the job twice without a cut and return what it sent the second time; nothing may be amiss then.

        Only the first run analyses the tables: the statistics that it leaves are not restored.
        """
        for _ in range(2):
            trial, messages = await self._try(None)
            assert trial == Trial(recovered=True, violations=[])
        return messages

    async def try_cut(self, cut: Cut) -> Trial:
        """Run the job with this cut, and look; run it again without, and look again.

        A run that recovered from a lost request is not run again: the reply to it is lost in a trial of its own.
        """
        trial, _ = await self._try(cut)
        return trial

    async def _try(self, cut: Cut | None) -> tuple[Trial, list[bytes]]:
        await self.database.execute(self.restore)
        found: list[str] = []
        turn = asyncio.Lock()

        async def look_for_halves() -> None:
            async with turn:
                found.extend(await self.job.halves(self.database))

        async def at_the_cut() -> None:
            await look_for_halves()
            async with turn:
                await self.job.meanwhile(self.database)

        results = []
        async with CuttingProxy(_socket_of(self.dsn), self.directory, cut) as proxy:
            proxy.on_cut = at_the_cut
            try:
                results.append(await self._run(proxy_dsn(self.dsn, self.directory), cut is not None and cut.for_good))
            except MirrorError as error:
                if cut is None or not cut.for_good:
                    found.append(f"one cut ended the run: {error}")
        if cut is not None and not proxy.cut_made:
            found.append("the run had ended before its cut")
        await look_for_halves()
        recovered = bool(results)
        settled = recovered and self.job.recovers
        if settled:
            found += await self.job.amiss(self.database, results, 1)
        if not settled or (cut is not None and cut.lost == "reply"):
            try:
                results.append(await self._run(self.dsn, impatient=False))
            except MirrorError as error:
                found.append(f"the run after the cut failed: {error}")
            found += await self.job.amiss(self.database, results, 2)
        return Trial(recovered, found), proxy.messages

    async def _run(self, dsn: str, impatient: bool) -> object:
        variables = {"MIRROR_CONCURRENCY": "1", "MIRROR_PATIENCE": IMPATIENT if impatient else PATIENT}
        settings = mirror_settings(self.job.source_url, dsn, **variables, **self.job.variables)
        return await asyncio.wait_for(self.job.run(settings), HANGS_AFTER_S)


@asynccontextmanager
async def open_lane(job: Job, server_url: str) -> AsyncIterator[Lane]:
    """Make a database in the state in which the job begins."""
    async with fresh_database(server_url) as dsn:
        await job.prepare(dsn)
        database = await asyncpg.connect(dsn)
        try:
            await job.begin(database)
            restore = await _save(database)
            with tempfile.TemporaryDirectory(prefix="cuts-") as directory:
                yield Lane(job, dsn, database, restore, Path(directory))
        finally:
            await database.close()


async def _save(database: asyncpg.Connection) -> str:
    """Copy all tables aside and return the script that brings them back as they were."""
    tables = [
        (row["schemaname"], row["tablename"])
        for row in await database.fetch("SELECT * FROM pg_tables WHERE schemaname IN ('canvas', 'canvas_ops')")
    ]
    if not tables:
        return "DROP SCHEMA IF EXISTS canvas, canvas_ops CASCADE"
    await database.execute("CREATE SCHEMA saved")
    steps = ["BEGIN", "SET LOCAL session_replication_role = replica"]
    for schema, table in tables:
        await database.execute(f"CREATE TABLE saved.{schema}_{table} AS TABLE {schema}.{table}")
        steps.append(f"DELETE FROM {schema}.{table}")  # noqa: S608 - names of our own tables
        steps.append(f"INSERT INTO {schema}.{table} OVERRIDING SYSTEM VALUE TABLE saved.{schema}_{table}")
    return "; ".join([*steps, "COMMIT"])


def _socket_of(dsn: str) -> Path:
    return Path(parse_qs(urlsplit(dsn).query)["host"][0], SOCKET_NAME)


def proxy_dsn(dsn: str, directory: Path) -> str:
    """Return the DSN of the same database behind a proxy that listens in `directory`."""
    return urlsplit(dsn)._replace(query=urlencode({"host": str(directory)})).geturl()
