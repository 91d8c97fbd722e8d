"""A search that is walked again: its pages side by side, each only if the page before it names it now."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.integration.loopback import SEARCH, Upstream, opened, page, refusal
from worker.errors import PageFailed

if TYPE_CHECKING:
    from aiohttp import web

    from worker.extract.client import Source
    from worker.records import Page

LAST = 6


class Paged:
    """Serves pages 1 to `last`, each of an entry of its own; its links say `p=` and, if set, a session.

    `under_way` is how many requests were answered at once at most, `asked` the pages in the order of the requests.
    """

    def __init__(self) -> None:
        self.last = LAST
        self.session = ""
        self.asked: list[int] = []
        self.hold = asyncio.Event()
        self.hold.set()
        self.failing: set[int] = set()
        self.waiting = 0
        self.upstream = Upstream(otherwise=self._answer)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        number = int(request.query.get("p", "1"))
        self.asked.append(number)
        self.waiting += 1
        await self.hold.wait()
        self.waiting -= 1
        if number in self.failing:
            return await refusal(404, "not-found")(request)
        following = f"/Communication?p={number + 1}{self.session}" if number < self.last else None
        return await page(f"entry-{number}", total=self.last, following=following)(request)

    async def until_waiting(self, requests: int) -> None:
        while self.waiting < requests:  # noqa: ASYNC110 - whatever the server has been asked
            await asyncio.sleep(0.01)


async def urls_of(source: Source) -> list[str]:
    return [one.url async for one in source.walk("Communication", SEARCH)]


async def again(source: Source, urls: list[str]) -> list[Page]:
    return [one async for one in source.walk_again(urls)]


async def test_all_but_the_first_and_the_last_page_are_asked_for_at_once() -> None:
    """The first alone, since it must name the second; the last once all others are there."""
    paged = Paged()
    async with asyncio.timeout(60), paged.upstream.serve() as upstream, opened(upstream) as source:
        urls = await urls_of(source)
        paged.asked.clear()
        paged.hold.clear()
        walk = asyncio.create_task(again(source, urls))
        await paged.until_waiting(1)
        assert paged.asked == [1]
        paged.hold.set()
        pages = await walk
    assert [one.url for one in pages] == urls
    assert (paged.asked[0], sorted(paged.asked[1:-1]), paged.asked[-1]) == (1, [2, 3, 4, 5], 6)
    first, *middle, last = pages
    assert first.arrived < min(one.requested for one in middle)
    assert max(one.arrived for one in middle) < last.requested


async def test_no_more_are_under_way_than_the_bound_allows() -> None:
    paged = Paged()
    async with (
        asyncio.timeout(60),
        paged.upstream.serve() as upstream,
        opened(upstream, MIRROR_CONCURRENCY="3") as source,
    ):
        urls = await urls_of(source)
        walk = source.walk_again(urls)
        await anext(walk)
        paged.hold.clear()
        following = asyncio.create_task(anext(walk))
        await paged.until_waiting(3)
        assert sorted(paged.asked[-3:]) == [2, 3, 4]
        paged.hold.set()
        await following
        await walk.aclose()


async def test_pages_that_no_longer_follow_are_not_counted() -> None:
    """Another session, so to say: nothing is asked for by the old URLs, and the links are followed."""
    paged = Paged()
    async with asyncio.timeout(60), paged.upstream.serve() as upstream, opened(upstream) as source:
        urls = await urls_of(source)
        paged.session = "&session=2"
        paged.asked.clear()
        pages = await again(source, urls)
    assert [one.url.partition("p=")[2] for one in pages[1:]] == [f"{number}&session=2" for number in range(2, 7)]
    assert paged.asked == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("last", [1, 3, 5, 6, 8])
async def test_a_search_may_have_become_shorter_or_longer(last: int) -> None:
    paged = Paged()
    async with asyncio.timeout(60), paged.upstream.serve() as upstream, opened(upstream) as source:
        urls = await urls_of(source)
        paged.last = last
        assert len(await again(source, urls)) == last


async def test_what_fails_ahead_matters_only_if_it_follows() -> None:
    """A source may refuse a page that is not there any more."""
    paged = Paged()
    async with asyncio.timeout(60), paged.upstream.serve() as upstream, opened(upstream) as source:
        urls = await urls_of(source)
        paged.last, paged.failing = 3, {4, 5, 6}
        assert len(await again(source, urls)) == 3
        paged.last = 6
        with pytest.raises(PageFailed) as failed:
            await again(source, urls)
    assert failed.value.reason == "http_404"
