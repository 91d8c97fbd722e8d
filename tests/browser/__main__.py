"""The proof with a browser in its full form: `python -m tests.browser [--seed N]` (`make proof PART=browser`)."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
import time
from collections import Counter
from random import Random
from typing import TYPE_CHECKING

from tests.browser import proof
from tests.browser.chromium import NoBrowserError, chromium

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_MARKUP = 10_000
_LETTERS = 5_000
_LISTED = 12


async def shares(random: Random) -> AsyncIterator[proof.Share]:
    """Yield each share of the proof as it is done."""
    async with chromium() as browser:
        say(f"judge: {await browser.version()}")
        yield await proof.markup_is_read(browser, random, _MARKUP)
        for share in await proof.letters_are_read(browser, random, _LETTERS):
            yield share
        for share in await proof.corpus_is_read(browser):
            yield share
        yield await proof.attacks_do_nothing(browser, alone=True)
        yield await proof.attacks_are_noticed(browser)


async def prove(seed: int) -> int:
    """Print every share with what was not as it should be; return 1 if one was too small."""
    missed = 0
    async for share in shares(Random(seed)):  # noqa: S311 - a generator of test data, to be repeated
        say(str(share))
        listed = Counter(share.exceptions).most_common(_LISTED)
        for line, times in listed:
            say(f"    {times} × {line[:400]}")
        if len(share.exceptions) > sum(times for _, times in listed):
            say("    …")
        missed += not share.is_enough
    return 1 if missed else 0


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.browser", description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="of an earlier run, to repeat it")
    seed = parser.parse_args().seed
    seed = secrets.randbelow(2**32) if seed is None else seed
    say(f"proof browser: seed {seed}")
    began = time.monotonic()
    try:
        outcome = asyncio.run(prove(seed))
    except NoBrowserError as error:
        say(str(error))
        return 1
    say(f"{'all bars met' if outcome == 0 else 'a bar was missed'}, {time.monotonic() - began:.0f} s")
    return outcome


if __name__ == "__main__":
    sys.exit(main())
