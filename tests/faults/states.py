"""Proof: a state machine over a source that never stands still and jobs that die, with what must always hold.

`states_machine` has the rules that hypothesis draws from, `model` the source, `states_trial` a job and what befalls it,
`states_judge` what must hold then.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from multiprocessing import get_context
from typing import TYPE_CHECKING
from unittest.mock import patch

import asyncpg
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.faults.proof import ProofResult, Size, be_quiet
from tests.faults.states_judge import BRAKE
from tests.faults.states_machine import Stage, States
from tests.faults.states_trial import units_struck
from tests.faults.worlds import fresh_database
from tests.integration.mirroring import mirror_settings
from worker.jobs.migrate import upgrade
from worker.jobs.run import buffer, deletions

if TYPE_CHECKING:
    from collections.abc import Iterator

FULL_STEPS = 10_000
SMALL_STEPS = 160
STEPS_PER_MACHINE = 40
MACHINES_AT_ONCE = 50
PROCESSES = 2


@contextmanager
def staged(dsn: str, result: ProofResult) -> Iterator[Stage]:
    """Open what machines share. Batches and the brake are small here, so that a small clinic meets both."""
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        runner.run(upgrade(mirror_settings("http://127.0.0.1:1", dsn)))
        database = runner.run(asyncpg.connect(dsn))
        stack.callback(lambda: runner.run(database.close()))
        stack.enter_context(units_struck())
        stack.enter_context(patch.object(buffer, "BATCH_ENTRIES", 2))
        stack.enter_context(patch.object(deletions, "DELETIONS_FLOOR", BRAKE))
        yield Stage(runner, dsn, database, result)


def play(stage: Stage, seed: int, machines: int) -> None:
    """Let machines run, the same for the same seed. What contradicts the proof is in the result, and ends it."""
    machine = type("States", (States,), {"stage": stage, "_hypothesis_internal_use_seed": seed})
    wanted = settings(
        max_examples=machines,
        stateful_step_count=STEPS_PER_MACHINE,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(machine, settings=wanted)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a violation and told as one
        # hypothesis runs a machine that failed once more, and may fail to: then it tells of that.
        if not stage.result.violations:
            stage.result.violations.append(f"{type(error).__name__}: {error}")


async def run(size: Size, seed: int, server_url: str) -> ProofResult:
    """Prove it: in the small form by one machine after the other in this process, in full by two processes."""
    result = ProofResult("states", seed)
    if size == "small":
        result.add(await asyncio.to_thread(prove, server_url, seed, SMALL_STEPS))
        return result
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn"), initializer=be_quiet) as pool:
        shares = [
            loop.run_in_executor(pool, prove, server_url, seed + share * 1_000_000, FULL_STEPS // PROCESSES)
            for share in range(PROCESSES)
        ]
        for share in await asyncio.gather(*shares):
            result.add(share)
    return result


def prove(server_url: str, seed: int, steps: int) -> ProofResult:
    """Let machines take so many steps, in a database of their own, or until one contradicts the proof."""
    result = ProofResult("states", seed)
    with closing(asyncio.new_event_loop()) as loop:
        database = fresh_database(server_url)
        dsn = loop.run_until_complete(database.__aenter__())
        try:
            with staged(dsn, result) as stage:
                while result.counts.get("steps", 0) < steps and not result.violations:
                    left = steps - result.counts.get("steps", 0)
                    play(stage, seed, min(MACHINES_AT_ONCE, -(-left // STEPS_PER_MACHINE)))
                    seed += 1
        finally:
            loop.run_until_complete(database.__aexit__(None, None, None))
    return result
