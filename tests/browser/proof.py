"""What is proven with a browser as the judge: the text is what it shows, safe HTML shows the same and does nothing."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.browser.attacks import payloads, stage, together
from tests.browser.generator import random_markup
from tests.browser.judge import shown_texts
from tests.browser.letters import Letter, letter
from tests.unit.corpus import inner_text_cases, written_messages
from worker.transform.safe_html.sanitize import safe_html
from worker.transform.text.innertext import inner_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from tests.browser.chromium import Chromium

MARKUP_BAR = 0.98
LETTERS_BAR = 0.99
SAFE_BAR = 0.97
NOTICED_BAR = 0.75  # the others live on what other browsers, older ones or a second program do
_TOGETHER = 40
_TAG = re.compile(r"<([a-z][^\s/<>]*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Share:
    """How many of so many were as they should be, how many have to be, and a line about each that was not."""

    what: str
    tried: int
    bar: float
    exceptions: list[str] = field(default_factory=list)

    @property
    def part(self) -> float:
        return 1 - len(self.exceptions) / self.tried

    @property
    def is_enough(self) -> bool:
        return self.part >= self.bar

    def __str__(self) -> str:
        verdict = "ok" if self.is_enough else f"MISSED, at least {self.bar:.0%} is asked for"
        return f"{self.what}: {self.tried - len(self.exceptions):,} of {self.tried:,} ({self.part:.2%}) {verdict}"


async def markup_is_read(browser: Chromium, random: Random, count: int) -> Share:
    """Generate random markup and read it as the browser does."""
    bodies = [random_markup(random) for _ in range(count)]
    shown = await shown_texts(browser, bodies)
    wrong = [repr(body) for body, text in zip(bodies, shown, strict=True) if inner_text(body) != text]
    return Share("random markup reads as shown", count, MARKUP_BAR, wrong)


async def letters_are_read(browser: Chromium, random: Random, count: int) -> tuple[Share, Share]:
    """Write letters and read them as the browser does, then see what it shows of their safe HTML."""
    letters = [letter(random) for _ in range(count)]
    shown = await shown_texts(browser, [one.html for one in letters])
    wrong = [
        f"{one.shape}: {one.html!r}" for one, text in zip(letters, shown, strict=True) if inner_text(one.html) != text
    ]
    read = Share("new letters read as shown", count, LETTERS_BAR, wrong)
    return read, await _safe_html_shows_the_same(browser, "new letters", letters, shown)


async def corpus_is_read(browser: Chromium) -> tuple[Share, Share]:
    """Do the same with the written messages and the cases of each rule; every one has to be exact."""
    bodies = [Letter(body.id, body.html) for body in written_messages()]
    bodies += [Letter(case.name, case.html) for case in inner_text_cases()]
    shown = await shown_texts(browser, [body.html for body in bodies])
    wrong = [body.shape for body, text in zip(bodies, shown, strict=True) if inner_text(body.html) != text]
    read = Share("the corpus reads as shown", len(bodies), 1.0, wrong)
    return read, await _safe_html_shows_the_same(browser, "the corpus", bodies, shown)


async def _safe_html_shows_the_same(
    browser: Chromium, whose: str, letters: Sequence[Letter], shown: Sequence[str]
) -> Share:
    safe = [safe_html(one.html) for one in letters]
    shown_safe = await shown_texts(browser, safe)
    differing = [
        f"{one.shape}: without {', '.join(sorted(_tags(one.html) - _tags(body))) or 'anything less'}"
        for one, text, body, safe_text in zip(letters, shown, safe, shown_safe, strict=True)
        if text != safe_text
    ]
    return Share(f"safe HTML of {whose} shows the same text", len(letters), SAFE_BAR, differing)


def _tags(html: str) -> set[str]:
    return {name.lower() for name in _TAG.findall(html)}


async def attacks_do_nothing(browser: Chromium, *, alone: bool) -> Share:
    """Load what is left of each attack with scripts enabled: nothing may run, be fetched, or stand out.

    Many share a page, as in a conversation; `alone` loads each in a page of its own as well.
    """
    bodies = [safe_html(payload) for _, payload in payloads()]
    pages = [together(bodies[start : start + _TOGETHER]) for start in range(0, len(bodies), _TOGETHER)]
    if alone:
        pages += bodies
    async with stage(browser) as page:
        acting = [f"{seen} of {body[:300]!r}" for body in pages if (seen := await page.show(body))]
    return Share(f"pages with {len(bodies)} sanitised attacks do nothing", len(pages), 1.0, acting)


async def attacks_are_noticed(browser: Chromium) -> Share:
    """Load every attack as it is: the stage must notice nearly all, and see code run and requests made."""
    noticed: Counter[str] = Counter()
    missed = []
    async with stage(browser) as page:
        for family, payload in payloads():
            seen = await page.show(payload)
            noticed["run code"] += bool(seen.executions)
            noticed["fetch"] += bool(seen.fetches)
            if not seen:
                missed.append(f"{family}: {payload!r}")
    doing = ", ".join(f"{count} {what}" for what, count in noticed.items())
    return Share(f"unsanitised attacks are noticed ({doing})", len(payloads()), NOTICED_BAR, missed)
