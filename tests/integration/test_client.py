"""Pages, links, sizes and bounds of the paging client, against a server on the loopback interface."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import TYPE_CHECKING

import pytest

from tests.integration.loopback import (
    PATIENT,
    SEARCH,
    FakeClock,
    Upstream,
    assert_discreet,
    body,
    bundle,
    hang,
    opened,
    page,
    refusal,
    settings_for,
    status,
)
from worker.errors import PageFailed, SettingsError
from worker.extract import client
from worker.extract.client import Source
from worker.extract.exchange import Bounds

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web

    from worker.records import Page


async def walked(source: Source, pages_max: int | None = None) -> list[Page]:
    return [page async for page in source.walk("Communication", SEARCH, pages_max=pages_max)]


# Pages and links


async def test_a_search_is_asked_for_with_encoded_references_and_the_token() -> None:
    async with Upstream(page("a", total=1)).serve() as upstream, opened(upstream) as source:
        first = await source.first_page("Communication", SEARCH, count=50)
    assert first.total == 1
    assert len(first.entries) == 1
    asked = upstream.seen[0]
    assert asked.path == f"/Communication?recipient=Patient%2F{PATIENT}&_count=50"
    assert asked.headers["Authorization"] == "Bearer ready-token"
    assert asked.headers["Accept"] == "application/fhir+json, application/json"
    assert asked.headers["User-Agent"].startswith("canvas-message-mirror/")


@pytest.mark.parametrize("prefix", ["", "/fhir/r4"])
async def test_a_walk_follows_relative_links_to_the_last_page(prefix: str) -> None:
    links = ["/Communication?_offset=1", "/Communication?_offset=2"]
    script = (page("a", total=3, following=links[0]), page("b", total=3, following=links[1]), page("c", total=3))
    async with Upstream(*script).serve() as upstream:
        settings = settings_for(upstream.url + prefix)
        async with Source.open(settings, clock=FakeClock().clock()) as source:
            pages = await walked(source)
    assert [json.loads(p.entries[0])["resource"]["id"] for p in pages] == ["a", "b", "c"]
    assert [s.path for s in upstream.seen[1:]] == [prefix + link for link in links]


async def test_a_walk_follows_absolute_links_of_the_same_origin() -> None:
    async with Upstream().serve() as upstream, opened(upstream) as source:
        upstream.script.append(page("a", following=f"{upstream.url}/Communication?_offset=1"))
        assert len(await walked(source)) == 2


async def test_a_link_to_another_server_is_refused_and_that_server_hears_nothing() -> None:
    async with Upstream().serve() as stranger, Upstream().serve() as upstream, opened(upstream) as source:
        upstream.script.append(page("a", following=f"{stranger.url}/Communication?_offset=1"))
        with pytest.raises(PageFailed) as failed:
            await walked(source)
    assert failed.value.reason == "foreign_next"
    assert_discreet(failed.value)
    assert stranger.seen == []


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_and_its_target_hears_nothing(code: int) -> None:
    async with Upstream().serve() as stranger, Upstream().serve() as upstream, opened(upstream) as source:
        upstream.otherwise = status(code, Location=f"{stranger.url}/Communication")
        with pytest.raises(SettingsError, match="a redirect to somewhere else"):
            await source.first_page("Communication", SEARCH)
    assert upstream.seen
    assert stranger.seen == []


async def test_a_link_back_to_a_page_of_the_same_walk_ends_it() -> None:
    script = (page("a", following="/Communication?p=2"), page("b", following="/Communication?p=3"))
    upstream = Upstream(*script, otherwise=page("c", following="/Communication?p=2"))
    async with upstream.serve(), opened(upstream) as source:
        with pytest.raises(PageFailed) as failed:
            await walked(source)
    assert failed.value.reason == "next_loops"
    assert len(upstream.seen) == 3


async def test_the_next_page_is_fetched_while_one_is_worked_on() -> None:
    """One page ahead and no more; a page that fails does so once the one before it was worked on."""
    links = ["/Communication?p=2", "/Communication?p=3"]
    script = (page("a", following=links[0]), page("b", following=links[1]), refusal(404, "not-found"))
    async with asyncio.timeout(60), Upstream(*script).serve() as upstream, opened(upstream) as source:
        walk = source.walk("Communication", SEARCH)
        for under_way in (2, 3):
            await anext(walk)
            while len(upstream.seen) < under_way:  # noqa: ASYNC110 - whatever the server has been asked
                await asyncio.sleep(0.01)
            assert len(upstream.seen) == under_way
        with pytest.raises(PageFailed) as failed:
            await anext(walk)
    assert failed.value.reason == "http_404"


async def test_whoever_stops_reading_leaves_no_request_under_way() -> None:
    script = (page("a", following="/Communication?p=2"), hang)
    async with asyncio.timeout(60), Upstream(*script).serve() as upstream, opened(upstream) as source:
        walk = source.walk("Communication", SEARCH)
        await anext(walk)
        while len(upstream.seen) < 2:  # noqa: ASYNC110 - whatever the server has been asked
            await asyncio.sleep(0.01)
        before = asyncio.all_tasks()
        await walk.aclose()
        left = before & asyncio.all_tasks()
        upstream.script.append(page("c"))
        assert (await source.first_page("Communication", SEARCH)).next_url is None
    assert len(left) < len(before)


async def test_a_walk_that_never_ends_is_ended() -> None:
    upstream = Upstream()

    async def another(request: web.Request) -> web.StreamResponse:
        number = len(upstream.seen)
        return await page(str(number), total=1, following=f"/Communication?p={number}")(request)

    upstream.otherwise = another
    async with upstream.serve(), opened(upstream) as source:
        with pytest.raises(PageFailed) as failed:
            await walked(source, pages_max=5)
    assert failed.value.reason == "too_many_pages"
    assert len(upstream.seen) == 5


def fifty_pages(*, total: int, ids: Callable[[int], list[str]]) -> Upstream:
    """Serve pages of the ids for each number of page, and a total."""
    upstream = Upstream()

    async def another(request: web.Request) -> web.StreamResponse:
        number = len(upstream.seen)
        following = f"/Communication?p={number}" if number < 50 else None
        return await page(*ids(number), total=total, following=following)(request)

    upstream.otherwise = another
    return upstream


@pytest.mark.parametrize(
    ("total", "ids"),
    [(2**31 - 1, lambda _: []), (2, lambda number: ["a", "b"][: 1 + number % 2])],
    ids=["promises everything", "was shown long ago"],
)
async def test_no_total_lets_a_walk_go_on_for_ever(
    total: int, ids: Callable[[int], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PAGES_MAX", 20)
    async with fifty_pages(total=total, ids=ids).serve() as upstream, opened(upstream) as source:
        with pytest.raises(PageFailed) as failed:
            await walked(source)
    assert failed.value.reason == "too_many_pages"
    assert len(upstream.seen) == 20


async def test_a_source_that_ignores_the_offset_is_found_out_at_once() -> None:
    """Its links go on and on, each of them another; every page is the first."""
    async with fifty_pages(total=25, ids=lambda _: ["a", "b"]).serve() as upstream, opened(upstream) as source:
        with pytest.raises(PageFailed) as failed:
            await walked(source)
    assert failed.value.reason == "next_loops"
    assert len(upstream.seen) == 2


async def test_a_walk_may_have_as_many_pages_as_it_shows_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PAGES_MAX", 20)
    each_one = fifty_pages(total=2**31 - 1, ids=lambda number: [str(number)])
    async with each_one.serve() as upstream, opened(upstream) as source:
        assert len(await walked(source)) == 50


# Sizes, bounds, pace


@pytest.mark.parametrize("packed", [False, True])
async def test_a_page_over_the_size_cap_fails_at_once_packed_or_not(packed: bool) -> None:
    content = b" " * 100_000
    answer = body(gzip.compress(content), Content_Encoding="gzip") if packed else body(content)
    upstream = Upstream(otherwise=answer)
    async with upstream.serve(), opened(upstream, bounds=Bounds(body_bytes=50_000)) as source:
        with pytest.raises(PageFailed) as failed:
            await source.first_page("Communication", SEARCH)
    assert failed.value.reason == "page_too_large"
    assert len(upstream.seen) == 1


async def test_a_packed_page_is_unpacked() -> None:
    upstream = Upstream(body(gzip.compress(bundle("a")), Content_Encoding="gzip"))
    async with upstream.serve(), opened(upstream) as source:
        assert len((await source.first_page("Communication", SEARCH)).entries) == 1
    assert "gzip" in upstream.seen[0].headers["Accept-Encoding"]


async def test_no_more_requests_are_under_way_than_the_bound_allows() -> None:
    under_way, most, together = 0, 0, asyncio.Barrier(3)

    async def count(request: web.Request) -> web.StreamResponse:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await together.wait()
        under_way -= 1
        return await page("a")(request)

    upstream = Upstream(otherwise=count)
    async with asyncio.timeout(20), upstream.serve(), opened(upstream, MIRROR_CONCURRENCY="3") as source:
        await asyncio.gather(*(source.first_page("Communication", SEARCH) for _ in range(12)))
        assert source.requests == 12
    assert most == 3


async def test_requests_start_no_faster_than_the_rate() -> None:
    clock, upstream = FakeClock(), Upstream()
    async with upstream.serve(), opened(upstream, clock, MIRROR_RATE="4") as source:
        for _ in range(4):
            await source.first_page("Communication", SEARCH)
    assert clock.waits == [0.25, 0.25, 0.25]


async def test_a_cancelled_request_frees_its_place() -> None:
    arrived = asyncio.Event()

    async def arrive_and_hang(request: web.Request) -> web.StreamResponse:
        arrived.set()
        return await hang(request)

    upstream = Upstream(arrive_and_hang)
    async with asyncio.timeout(20), upstream.serve(), opened(upstream, MIRROR_CONCURRENCY="1") as source:
        hanging = asyncio.create_task(source.first_page("Communication", SEARCH))
        await arrived.wait()
        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging
        assert await source.first_page("Communication", SEARCH)
