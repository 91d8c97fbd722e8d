"""Searches that change between any two of their answers: one that is accepted missed nothing that was there.

A case is a schedule, drawn by the seed: what is added, deleted and moved behind each request, and in which order the
answers come (`shifting`). The mirror's own reader reads the search meanwhile. If it accepts the search by one answer,
it must have been shown every row that was there when that answer was made. Rows that were there all the time are among
them. In full these are 100,000 schedules, and busy inboxes over HTTP, by the clock (`busy`).
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from random import Random
from typing import TYPE_CHECKING

from tests.faults import busy
from tests.faults.proof import ProofResult, be_quiet
from tests.faults.shifting import draw, read

if TYPE_CHECKING:
    from tests.faults.proof import Size

PROCESSES = 2
SCHEDULES = {"small": 3_000, "full": 100_000}


async def run(size: Size, seed: int, server_url: str) -> ProofResult:
    """Prove it: in the small form in this process, in full with two."""
    result = ProofResult("readings", seed)
    if size == "small":
        result.add(await prove(Random(seed), SCHEDULES[size]))  # noqa: S311 - repeatable, guards nothing
        return result
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn"), initializer=be_quiet) as pool:
        shares = [
            loop.run_in_executor(pool, partial(_prove_share, f"{seed}/{share}", SCHEDULES[size] // PROCESSES))
            for share in range(PROCESSES)
        ]
        for share in await asyncio.gather(*shares):
            result.add(share)
    result.add(await busy.prove(server_url, seed))
    return result


async def prove(random: Random, schedules: int, *, until_violated: bool = False) -> ProofResult:
    """Read so many searches, one after the other."""
    result = ProofResult("readings", 0)
    for _ in range(schedules):
        schedule = draw(random)
        came = await read(schedule)
        result.count("schedules")
        result.count("accepted" if came.reason is None else f"not accepted: {came.reason}")
        if came.reason is None and came.readings > 1:
            result.count("accepted after several readings")
        if came.missed:
            result.violations.append(f"accepted, and never shown: {sorted(came.missed)}: {schedule}")
            if until_violated:
                break
    return result


def _prove_share(seed: str, schedules: int) -> ProofResult:
    return asyncio.run(prove(Random(seed), schedules))  # noqa: S311
