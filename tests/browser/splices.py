"""Bodies spliced at random from our corpus: `python -m tests.browser.splices [--seed N]` (`make proof PART=splices`).

What two bodies are at odds about (elements left open, styles, half a tag) meets in one. Whatever comes of it: nothing
raises, both ways to the text agree, safe HTML is the same when sanitised again, and in a browser it does nothing.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tests.browser.attacks import payloads, stage, together
from tests.browser.letters import letter
from tests.browser.proof import Share
from tests.browser.proving import run
from tests.unit.corpus import inner_text_cases, written_messages
from tests.unit.markup import walked_text
from worker.transform.safe_html.sanitize import safe_html
from worker.transform.text.innertext import inner_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from random import Random

    from tests.browser.chromium import Chromium

_SPLICES = 20_000
_LETTERS = 300
_TOGETHER = 40


def corpus(random: Random) -> list[str]:
    """Return what is spliced: the cases of each rule, the written messages, the attacks, and some letters."""
    bodies = [case.html for case in inner_text_cases()] + [body.html for body in written_messages()]
    return bodies + [attack for _, attack in payloads()] + [letter(random).html for _ in range(_LETTERS)]


def splices(random: Random, count: int) -> list[str]:
    """Return bodies made of the beginning of one, the end of another, and now and then a part of a third."""
    bodies = corpus(random)
    return [_spliced(random, *random.choices(bodies, k=3)) for _ in range(count)]


def _spliced(random: Random, first: str, second: str, third: str) -> str:
    start, end = random.randint(0, len(third)), random.randint(0, len(third))
    middle = third[start:end] if random.random() < 1 / 3 else ""
    return first[: random.randint(0, len(first))] + middle + second[random.randint(0, len(second)) :]


def are_read(bodies: Sequence[str]) -> Share:
    """Read each body in both ways, and sanitise it twice."""
    wrong = [f"{problem}: {body!r}" for body in bodies if (problem := _problem(body))]
    return Share("spliced bodies are read alike in both ways, and sanitised for good", len(bodies), 1.0, wrong)


def _problem(body: str) -> str:
    try:
        text = inner_text(body)
        text.encode()
        if text != walked_text(body):
            return "text and walk differ"
        safe = safe_html(body)
        return "" if safe_html(safe) == safe else "sanitising again changes it"
    except Exception as error:  # noqa: BLE001  whatever it is, it is what is looked for
        return f"raises {type(error).__name__}"


async def do_nothing(browser: Chromium, bodies: Sequence[str]) -> Share:
    """Load the safe HTML of all, many to a page, with scripts enabled: nothing may run, be fetched, or stand out."""
    safe = [safe_html(body) for body in bodies]
    pages = [together(safe[start : start + _TOGETHER]) for start in range(0, len(safe), _TOGETHER)]
    async with stage(browser) as page:
        acting = [f"{seen} of {body[:300]!r}" for body in pages if (seen := await page.show(body))]
    return Share(f"pages with the safe HTML of {len(bodies)} spliced bodies do nothing", len(pages), 1.0, acting)


async def shares(browser: Chromium, random: Random) -> AsyncIterator[Share]:
    """Yield each share of the proof as it is done."""
    bodies = splices(random, _SPLICES)
    yield are_read(bodies)
    yield await do_nothing(browser, bodies)


if __name__ == "__main__":
    sys.exit(run("splices", __doc__, shares))
