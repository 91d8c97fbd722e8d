"""Running a proof with a browser, and printing its shares."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from random import Random
from typing import TYPE_CHECKING, TypeAlias

from tests.browser.chromium import Chromium, NoBrowserError, chromium

if TYPE_CHECKING:
    from tests.browser.proof import Share

# Yields each share of a proof as it is done.
Shares: TypeAlias = Callable[[Chromium, Random], AsyncIterator["Share"]]

_LISTED = 12


def run(name: str, description: str | None, shares: Shares) -> int:
    """Prove, with the seed of the command line or a new one, and return the exit code."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seed", type=int, default=None, help="of an earlier run, to repeat it")
    seed = parser.parse_args().seed
    seed = secrets.randbelow(2**32) if seed is None else seed
    _say(f"proof {name}: seed {seed}")
    began = time.monotonic()
    try:
        missed = asyncio.run(_prove(shares, seed))
    except NoBrowserError as error:
        _say(str(error))
        return 1
    _say(f"{'a bar was missed' if missed else 'all bars met'}, {time.monotonic() - began:.0f} s")
    return 1 if missed else 0


async def _prove(shares: Shares, seed: int) -> int:
    """Print every share with what was not as it should be; return how many were too small."""
    missed = 0
    async with chromium() as browser:
        _say(f"judge: {await browser.version()}")
        async for share in shares(browser, Random(seed)):  # noqa: S311 - a generator of test data, to be repeated
            _say(str(share))
            listed = Counter(share.exceptions).most_common(_LISTED)
            for line, times in listed:
                _say(f"    {times} × {line[:400]}")
            if len(share.exceptions) > sum(times for _, times in listed):
                _say("    …")
            missed += not share.is_enough
    return missed


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
