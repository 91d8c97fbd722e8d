"""Verify at size: real processes find three planted differences, and take flat memory.

The same is done with a clinic ten times smaller, where what verify advises must mend them, too. The peak of the process
that finds them (VmHWM) may be `RATIO_MAX` times as large as there at most.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg

from tests.faults.processes import run_to_end
from tests.faults.proof import ProofResult
from tests.faults.worlds import fresh_database
from tests.integration.mirroring import environment, start_command

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tests.faults.proof import Size
    from tests.integration.mirroring import Finished

MESSAGES: Mapping[Size, tuple[int, int]] = {"small": (200, 2_000), "full": (20_000, 200_000)}
RATIO_MAX = 1.25

TELLS_ITS_PEAK = """
import atexit, sys
from pathlib import Path

def tell():
    sys.stderr.write(Path("/proc/self/status").read_text())

atexit.register(tell)
"""

EXTRA = "planted-extra"
COPY = "INSERT INTO canvas.message SELECT (jsonb_populate_record(m, $1)).* FROM canvas.message AS m LIMIT 1"
DELETE = "DELETE FROM canvas.message WHERE id = (SELECT max(id) FROM canvas.message WHERE id <> $1) RETURNING id"
EDIT = "UPDATE canvas.message SET body_text = 'Planted.' WHERE id = (SELECT min(id) FROM canvas.message) RETURNING id"


async def run(size: Size, seed: int, server_url: str, *, sabotage: str = "") -> ProofResult:
    """Verify a small clinic and a large one. A `sabotage` is code that runs in each process of the mirror first."""
    result = ProofResult("verify", seed)
    fewer, many = MESSAGES[size]
    peaks = [
        await find(fewer, seed, server_url, result, mend=True, sabotage=sabotage),
        await find(many, seed, server_url, result, mend=False, sabotage=sabotage),
    ]
    result.count("ratio of the peaks, in %", round(100 * peaks[1] / peaks[0]))
    if peaks[1] > RATIO_MAX * peaks[0]:
        result.violations.append(f"memory is not flat: {peaks[0]:,} kB, then {peaks[1]:,} kB")
    return result


async def find(
    messages: int, seed: int, server_url: str, result: ProofResult, *, mend: bool, sabotage: str = ""
) -> int:
    """Mirror, plant, verify, perhaps mend and verify again. Write down what is wrong; return the first peak in kB."""
    where = f"{messages:,} messages"

    def wrong(what: str, ended: Finished) -> None:
        result.violations.append(f"{where}: {what}, ended with {ended.code}: {ended.out[-300:]} {ended.err[-300:]}")

    async with sandbox(messages, seed) as url, fresh_database(server_url) as dsn:
        variables = environment(url, dsn)

        async def timed(*arguments: str) -> Finished:
            began = time.monotonic()
            ended = await run_to_end(variables, *arguments, sabotage=TELLS_ITS_PEAK + sabotage)
            result.count(f"{where}: seconds for {' '.join(arguments)}", round(time.monotonic() - began))
            return ended

        mirrored = await timed("sync")
        if mirrored.code != 0:
            wrong("not mirrored", mirrored)
            return 1
        planted = await plant(dsn)
        found = await timed("verify", "--no-sync", "--json")
        said = json.loads(found.out or "{}")
        expected = {"proven": True, "moved": 0, "gone": 0, "unknown": 0, "entries": messages, "ids": planted}
        if found.code != 1 or {name: said.get(name) for name in expected} != expected:
            wrong("the planted differences, and no others, were to be found", found)
        result.count("planted differences", len(planted))
        peak = peak_of(found)
        result.count(f"{where}: peak of verify in kB", peak)
        if mend:
            # As it advises for such differences when it prints no JSON.
            for command in ("sync", "replay"):
                await timed(command)
            mended = await timed("verify", "--no-sync")
            if mended.code != 0:
                wrong("the differences were to be mended", mended)
        return peak


async def plant(dsn: str) -> dict[str, list[str]]:
    """Alter the mirror behind its back in three ways. Return what verify should say: ids by kind of difference."""
    database = await asyncpg.connect(dsn)
    try:
        await database.execute(COPY, json.dumps({"id": EXTRA}))
        missing = await database.fetchval(DELETE, EXTRA)
        edited = await database.fetchval(EDIT)
    finally:
        await database.close()
    return {"missing": [missing], "extra": [EXTRA], "altered": [edited]}


def peak_of(ended: Finished) -> int:
    """Return what a process told of its peak memory, in kB."""
    told = re.search(r"^VmHWM:\s+(\d+) kB$", ended.err, flags=re.MULTILINE)
    assert told is not None, ended.err[-300:]
    return int(told[1])


@asynccontextmanager
async def sandbox(messages: int, seed: int) -> AsyncIterator[str]:
    """Serve a made-up clinic from a process of its own; give its URL."""
    people = ("--practitioners", str(max(3, messages // 1000)), "--patients", str(max(8, messages // 50)))
    arguments = ("sandbox", "--port", "0", "--messages", str(messages), "--seed", str(seed), *people)
    process = await start_command({"PYTHONUNBUFFERED": "1"}, *arguments)
    try:
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode()
        yield line.strip().rpartition(" ")[2]
    finally:
        process.terminate()
        await asyncio.shield(process.communicate())
