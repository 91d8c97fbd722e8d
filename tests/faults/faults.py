"""Every fault at every request of a small run, then seeded pairs of them: complete means complete, and faults pass.

A case is a run that meets a script of faults, and then runs that meet none. The first must end `complete` with the
mirror equal to the source, or say that it is not complete: by its outcome, or by an error with its exit code. If
nothing befalls it but new messages, it must be complete; so must it if one answer is spoiled on its way, or comes from
something else than the source: that costs time only. After it, without faults, one run completes and the mirror
equals the source; one that is resumed may owe what moved after its `as_of` to the next. In between no message is marked
as deleted that the source has.

Two things no client can know, and they are allowed for: what moves during a run is found by the next, and a source that
says `total` 0 of messages that the mirror never knew is believed.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING

from tests.faults import faults_answers
from tests.faults.fault_cases import PAGE_MAX, STARTS, Case, cases_for, clinic_earlier, clinic_now
from tests.faults.proof import ProofResult, be_quiet
from tests.faults.script import FAULTS, Faults, Script
from tests.faults.worlds import open_world
from tests.integration.loopback import FakeClock
from worker.errors import AccessRefused, MirrorError, SettingsError, SourceAway
from worker.jobs.run.mirror import RunResult
from worker.jobs.run.plan import Outcome
from worker.telemetry import where

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from tests.faults.fault_cases import Start
    from tests.faults.proof import Size
    from tests.faults.worlds import World
    from worker.sandbox.population import Clinic

PROCESSES = 2

# Lies that no run can see through about messages that the mirror never knew.
BELIEVED = frozenset({"nothing_found", "scope_shrunk", "roster_filters_ignored"})


# Answers that are spoiled on their way, or never come: one of them costs time, whatever it looks like.
PASSING = frozenset(fault.__name__ for fault in faults_answers.KINDS)


async def run(size: Size, seed: int, server_url: str) -> ProofResult:
    """Prove it: in the small form with a share of the cases, in this process; in full with two processes."""
    requests = await count_requests(server_url)
    cases = cases_for(size, seed, requests)
    result = ProofResult("faults", seed)
    result.count("kinds of fault", len(FAULTS))
    result.count("requests of the run", max(requests.values()))
    if size == "small":
        result.add(await prove(server_url, cases))
        return result
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn"), initializer=be_quiet) as pool:
        shares = [
            loop.run_in_executor(pool, partial(_prove_share, server_url, cases[share::PROCESSES]))
            for share in range(PROCESSES)
        ]
        for share in await asyncio.gather(*shares):
            result.add(share)
    return result


async def count_requests(server_url: str) -> dict[Start, int]:
    """Return how many requests the run takes without a fault, from either start."""
    async with open_world(server_url, clinic_now()) as world:
        prover = _Prover(world, ProofResult("faults", 0))
        counts: dict[Start, int] = {}
        for start in STARTS:
            await prover.begin(Case(start, Script(), 0))
            counts[start] = (await world.sync()).requests
        return counts


async def prove(server_url: str, cases: Sequence[Case], *, until_violated: bool = False) -> ProofResult:
    """Go through the cases, one after the other, in one world."""
    async with open_world(server_url, clinic_now()) as world:
        prover = _Prover(world, ProofResult("faults", 0))
        for case in cases:
            await prover.prove(case)
            if until_violated and prover.result.violations:
                break
        return prover.result


def _prove_share(server_url: str, cases: Sequence[Case]) -> ProofResult:
    return asyncio.run(prove(server_url, cases))


class _Prover:
    """Brings a world to the start of a case, lets its faults befall a run, and holds what comes of it to a promise."""

    def __init__(self, world: World, result: ProofResult) -> None:
        self.world = world
        self.result = result
        self._faults = Faults(world.clinic)
        self._saved = False

    async def begin(self, case: Case) -> None:
        """Serve the clinic over an empty warehouse, or over one that mirrors what the clinic was before."""
        if not self._saved:
            await self._save_earlier()
        clinic = clinic_now()
        self._faults = Faults(clinic, seed=case.seed, page_max=PAGE_MAX)
        await self.world.serve(clinic, middlewares=[self._faults.middleware])
        self.world.clock = FakeClock()
        if case.start == "empty":
            await self.world.empty()
        else:
            await self.world.restore()

    async def _save_earlier(self) -> None:
        """Mirror the clinic as it was, for cases that begin there."""
        await self.world.serve(clinic_earlier())
        await self.world.sync()
        await self.world.save()
        self._saved = True

    async def prove(self, case: Case) -> None:
        """Run a case and note what it violates."""
        await self.begin(case)
        known = set(await self._ids("_deleted_at IS NULL"))
        self._faults.begin(case.script)
        ended = await self._sync(case)
        self.result.count(case.sort)
        self.result.count("faults that befell", len(self._faults.befell))
        wrongly = set(await self._ids("_deleted_at IS NOT NULL")) & _served(self._faults.clinic) - self._faults.denied
        self._violated_if(wrongly, case, "marked as deleted what the source has")
        differing = set(await self.world.differences())
        is_complete = isinstance(ended, RunResult) and ended.outcome is Outcome.COMPLETE
        if case.kinds == {"inbox_grows"}:
            self._violated_if(set() if is_complete else {str(ended)}, case, "a busy inbox is not complete")
        if case.sort == "single faults" and case.kinds <= PASSING:
            self._violated_if(set() if is_complete else {str(ended)}, case, "what passes cost more than time")
        if isinstance(ended, RunResult) and is_complete:
            await self._hold_complete(case, ended, differing, known)
            if not differing and case.is_pair:
                return  # nothing to repair, as single faults have shown with a run each
        self._faults.begin()
        await self._recover(case)

    async def _hold_complete(self, case: Case, ended: RunResult, differing: set[str], known: set[str]) -> None:
        """Hold that it owes only what moved after its `as_of`, and what it never knew and was told is not there."""
        believed = {kind for _, kind in self._faults.befell} & BELIEVED
        owed = {one for one in differing if not (believed and _id_of(one) not in known)}
        self._violated_if(await self._not_moved(ended, owed), case, "complete, but not equal to the source")

    async def _recover(self, case: Case) -> None:
        """Hold that a run without faults completes and all is well; a resumed one may owe what moved since."""
        for _ in range(2):
            ended = await self._sync(case)
            if not isinstance(ended, RunResult) or ended.outcome is not Outcome.COMPLETE:
                self._violated_if({str(ended)}, case, "the next run does not complete")
                return
            owed = set(await self.world.differences())
            if ended.resumed:
                self.result.count("runs resumed")
                self._violated_if(await self._not_moved(ended, owed), case, "resumed, but not equal to the source")
            else:
                self._violated_if(owed, case, "the next run does not repair it")
            if not owed or not ended.resumed:
                return
        self._violated_if({"resumed twice"}, case, "a complete run was resumed")

    async def _sync(self, case: Case) -> RunResult | MirrorError | None:
        try:
            result = await self.world.sync()
        except (SourceAway, AccessRefused, SettingsError) as error:  # the last: at the first probe
            self.result.count(f"runs ended by {type(error).__name__}, exit {error.exit_code}")
            return error
        except Exception as error:  # noqa: BLE001 - whatever else comes out is a crash, and that is looked for
            self.result.violations.append(f"{case}: {where(error)}")
            return None
        self.result.count(f"runs {result.outcome.value}")
        return result

    async def _not_moved(self, ended: RunResult, owed: set[str]) -> set[str]:
        """Return the differences that moving at the source since the run's `as_of` does not explain."""
        as_of = await self.world.database.fetchval("SELECT as_of FROM canvas_ops.run WHERE id = $1", ended.run_id)
        moved = self._faults.moved
        return {one for one in owed if _id_of(one) not in moved or moved[_id_of(one)] < as_of}

    async def _ids(self, condition: str) -> list[str]:
        rows = await self.world.database.fetch(f"SELECT id FROM canvas.message WHERE {condition}")  # noqa: S608 - ours
        return [row["id"] for row in rows]

    def _violated_if(self, found: Collection[object], case: Case, what: str) -> None:
        if found:
            self.result.violations.append(f"{case}: {what}: {len(found)}, such as {next(iter(found))}")


def _id_of(difference: str) -> str:
    return difference.partition(":")[0]


def _served(clinic: Clinic) -> set[str]:
    return {resource["id"] for resource in clinic}
