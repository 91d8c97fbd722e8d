"""Reads one search as often as it takes to prove that nothing of it was missed (`acceptance`).

Searches for messages, for people, and those of a verification are all read here.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from worker.errors import PageFailed
from worker.jobs.run import acceptance
from worker.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from worker.extract.client import Source
    from worker.jobs.run.tally import Shown, Tally
    from worker.records import Page

    Take = Callable[[Page], Awaitable[Shown]]


async def read_search(
    source: Source,
    resource: str,
    parameters: Sequence[tuple[str, str]],
    tally: Tally,
    take: Take,
    *,
    first: Page | None = None,
) -> str | None:
    """Read a search until it is accepted. Return why it is not, in a word, or None if it is.

    Its pages are read from the first to the last, `acceptance.READINGS_MAX` times at most, from the second time on
    concurrently. `take` is called for each page of each reading, in the order of the pages. It keeps what it needs of
    the page, and returns what the page shows, which is counted in `tally`. `first` is the first page, if it was read
    already. A page that cannot be fetched ends the reading, and its reason is returned. Raises SourceAway,
    AccessRefused and what `take` raises.
    """
    try:
        urls = await _read(source, source.walk(resource, parameters, first=first), tally, take)
        while (reason := acceptance.objection(tally)) is not None and acceptance.is_worth_another_reading(tally):
            urls = await _read(source, source.walk_again(urls), tally, take, last_url=urls[-1])
        count = tally.page_size_for_copies
        if reason is not None and count is not None:
            await _read(source, source.walk(resource, parameters, count=count), tally, take)
            if tally.confirm_copies():
                copies = tally.readings[-1].copies
                get_logger().warning("a search serves identical entries twice, and counts them twice", entries=copies)
            # The earlier reason still says most about the search.
            reason = reason if acceptance.objection(tally) is not None else None
    except PageFailed as failed:
        return failed.reason
    return reason


async def _read(
    source: Source,
    pages: AsyncGenerator[Page, None],
    tally: Tally,
    take: Take,
    *,
    last_url: str | None = None,
) -> list[str]:
    """Read pages to the last, or to the one before `last_url` if that is enough. Return their URLs."""
    urls: list[str] = []
    async with aclosing(pages):
        async for page in pages:
            urls.append(page.url)
            tally.add(await take(page), page.total, requested=page.requested, arrived=page.arrived)
            is_next_to_last = last_url is not None and source.following(page) == last_url
            if is_next_to_last and acceptance.objection(tally) is None:
                return urls
    tally.end_reading()
    return urls
