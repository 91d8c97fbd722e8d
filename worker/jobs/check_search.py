"""How `check` tries a search for messages: whether it says how many there are, and whether its `next` link works."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.advice import advise
from worker.errors import PageFailed
from worker.jobs.run import plan
from worker.jobs.run.walk import RESOURCE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from worker.extract.client import Source
    from worker.records import Page, Search

SEARCHES_MAX = 10
"""How many searches are tried to find one with a second page."""


async def fault_of_a_search(source: Source, practitioners: Iterable[str]) -> tuple[str, str] | None:
    """Return what is wrong with the searches for messages, and what to do about it; None if nothing is.

    Each page has one message, so that a few messages are enough for a `next` link, which is followed once. A `total`
    may be on any page: if the first two have none, the others are read. Raises what `Source.first_page` raises of the
    source as a whole.
    """
    for search in plan.searches_for(practitioners, (), ())[:SEARCHES_MAX]:
        pages: list[Page] = []
        try:
            async for page in source.walk(RESOURCE, [(search.parameter, search.value)], count=1):
                pages.append(page)
                if len(pages) == 2:
                    break
            counts = any(page.total is not None for page in pages) or await _counts_later(source, search)
        except PageFailed as failed:
            what = "the `next` link of a search for messages" if pages else "a search for messages"
            mismatch = source.mismatch(pages[-1]) if pages else ""
            return f"{what} fails ({failed.reason})", mismatch or _advice(failed.reason)
        if not counts:
            return "a search for messages does not say how many there are (no_total)", _advice("no_total")
        if len(pages) > 1:
            return None
    return None


async def _counts_later(source: Source, search: Search) -> bool:
    """Tell whether any page of a search, read as a sync reads it, has a `total`. Raises PageFailed."""
    async for page in source.walk(RESOURCE, [(search.parameter, search.value)]):
        if page.total is not None:
            return True
    return False


def _advice(reason: str) -> str:
    return " ".join(advise([reason], "the same command"))
