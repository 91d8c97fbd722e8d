"""The proof with a browser in its full form: `python -m tests.browser [--seed N]` (`make proof PART=browser`)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tests.browser import proof
from tests.browser.proving import run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from random import Random

    from tests.browser.chromium import Chromium

_MARKUP = 10_000
_LETTERS = 5_000


async def shares(browser: Chromium, random: Random) -> AsyncIterator[proof.Share]:
    """Yield each share of the proof as it is done."""
    yield await proof.markup_is_read(browser, random, _MARKUP)
    for share in await proof.letters_are_read(browser, random, _LETTERS):
        yield share
    for share in await proof.corpus_is_read(browser):
        yield share
    yield await proof.attacks_do_nothing(browser, alone=True)
    yield await proof.attacks_are_noticed(browser)


if __name__ == "__main__":
    sys.exit(run("browser", __doc__, shares))
