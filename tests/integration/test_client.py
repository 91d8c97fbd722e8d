from __future__ import annotations

import asyncio
import gzip
import json
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from tests.integration.loopback import (
    PATIENT,
    SEARCH,
    SERVER_WORDS,
    START,
    FakeClock,
    Handler,
    Upstream,
    body,
    bundle,
    drip,
    hang,
    page,
    reset,
    reset_in_body,
    settings_for,
    status,
)
from worker.errors import EXIT_SOURCE, MirrorError, PageFailed, SourceAway
from worker.extract.client import Source
from worker.extract.exchange import Bounds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import web

    from worker.records import Page

SHORT = Bounds(connect_s=0.5, read_s=0.1, total_s=0.3)
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"details": {"text": SERVER_WORDS}}]}


@asynccontextmanager
async def opened(
    upstream: Upstream, clock: FakeClock | None = None, bounds: Bounds | None = None, **more: str
) -> AsyncIterator[Source]:
    settings = settings_for(upstream.url, **more)
    async with Source.open(settings, clock=(clock or FakeClock()).clock(), bounds=bounds) as source:
        yield source


async def walked(source: Source, **more: int) -> list[Page]:
    return [page async for page in source.walk("Communication", SEARCH, **more)]


def for_a_patient(failure: Handler) -> Handler:
    """Fail searches by patient, and answer everything else."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return await (failure if "recipient" in request.query else page())(request)

    return answer


def assert_discreet(error: MirrorError) -> None:
    """Hold that nothing of the request or of the server's words is in what a person or a log gets to see."""
    said = f"{error!r} {error} {error.what} {error.safe} {error.next}"
    assert PATIENT not in said
    assert SERVER_WORDS not in said
    assert "ready-token" not in said


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
async def test_a_redirect_is_refused_and_its_target_hears_nothing(code: int) -> None:
    async with Upstream().serve() as stranger, Upstream().serve() as upstream, opened(upstream) as source:
        upstream.otherwise = status(code, Location=f"{stranger.url}/Communication")
        with pytest.raises(PageFailed) as failed:
            await source.first_page("Communication", SEARCH)
    assert failed.value.reason == "redirect"
    assert (len(upstream.seen), stranger.seen) == (1, [])


async def test_a_link_back_to_a_page_of_the_same_walk_ends_it() -> None:
    script = (page("a", following="/Communication?p=2"), page("b", following="/Communication?p=3"))
    upstream = Upstream(*script, otherwise=page("c", following="/Communication?p=2"))
    async with upstream.serve(), opened(upstream) as source:
        with pytest.raises(PageFailed) as failed:
            await walked(source)
    assert failed.value.reason == "next_loops"
    assert len(upstream.seen) == 3


async def test_a_walk_that_never_ends_is_ended() -> None:
    upstream = Upstream()

    async def another(request: web.Request) -> web.StreamResponse:
        return await page("a", total=1, following=f"/Communication?p={len(upstream.seen)}")(request)

    upstream.otherwise = another
    async with upstream.serve(), opened(upstream) as source:
        with pytest.raises(PageFailed) as failed:
            await walked(source, pages_max=5)
    assert failed.value.reason == "too_many_pages"
    assert len(upstream.seen) == 5


# Failures that pass


@pytest.mark.parametrize(
    "failure",
    [
        status(429),
        status(500),
        status(502),
        status(503),
        status(504),
        reset_in_body,
        hang,
        drip,
        body(b"<html>Please stand by</html>"),
        body(json.dumps(OUTCOME).encode()),
        body(bundle("a", "b")[:-20]),
        body(b"no gzip", Content_Encoding="gzip"),
        body(b""),
    ],
    ids=lambda handler: getattr(handler, "__name__", ""),
)
async def test_a_failure_that_passes_costs_two_waits_and_no_page(failure: Handler) -> None:
    """Two failures, of whatever kind, then the page: it is had, after waits that double."""
    clock = FakeClock()
    upstream = Upstream(page("x"), failure, failure, page("a"))
    async with upstream.serve(), opened(upstream, clock, SHORT) as source:
        await source.first_page("Practitioner", [])
        assert len((await source.first_page("Communication", SEARCH)).entries) == 1
        assert source.retries == 2
    assert clock.waits == [0.25, 0.5]


async def test_a_connection_that_breaks_is_tried_anew() -> None:
    """A request is repeated once by aiohttp itself; the third break in a row is ours to mend."""
    clock, upstream = FakeClock(), Upstream(reset, reset, reset, page("a"))
    async with upstream.serve(), opened(upstream, clock) as source:
        assert len((await source.first_page("Communication", SEARCH)).entries) == 1
    assert clock.waits == [0.25]


@pytest.mark.parametrize(
    ("retry_after", "waited"),
    [("7", 7.0), (format_datetime(START + timedelta(seconds=9), usegmt=True), 9.0), ("nonsense", 0.25)],
)
@pytest.mark.parametrize("code", [429, 503])
async def test_retry_after_is_honoured_as_seconds_and_as_a_date(code: int, retry_after: str, waited: float) -> None:
    clock = FakeClock()
    upstream = Upstream(status(code, Retry_After=retry_after))
    async with upstream.serve(), opened(upstream, clock) as source:
        await source.first_page("Communication", SEARCH)
    assert clock.waits == [waited]


async def test_each_wait_is_logged_without_a_word_of_request_or_answer() -> None:
    upstream = Upstream(status(503), page("a"))
    async with upstream.serve(), opened(upstream) as source:
        with capture_logs() as logs:
            await source.first_page("Communication", SEARCH)
    assert logs == [
        {
            "event": "source did not answer, will ask again",
            "log_level": "warning",
            "attempt": 1,
            "wait_seconds": 0.25,
            "reason": "http_503",
            "status_code": 503,
        }
    ]


async def test_a_source_that_dies_and_comes_back_within_the_patience_costs_only_time() -> None:
    clock, upstream = FakeClock(), Upstream()
    async with asyncio.timeout(20), AsyncExitStack() as stack:
        await stack.enter_async_context(upstream.serve())
        port = upstream.port

        async def revive(waits: int) -> None:
            if waits == 8:
                await stack.enter_async_context(upstream.serve(port=port))

        clock.on_wait = revive
        source = await stack.enter_async_context(opened(upstream, clock))
        await source.first_page("Communication", SEARCH)
        await upstream.die()
        await source.first_page("Communication", SEARCH)
        assert source.retries == 8


# Failures that stay


@pytest.mark.parametrize("code", [400, 403, 404, 405, 410, 412, 422, 204])
async def test_a_refusal_fails_the_page_at_once(code: int) -> None:
    upstream = Upstream(otherwise=status(code))
    async with upstream.serve(), opened(upstream) as source:
        with pytest.raises(PageFailed) as failed:
            await source.first_page("Communication", SEARCH)
    assert failed.value.reason == f"http_{code}"
    assert_discreet(failed.value)
    assert len(upstream.seen) == 1


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (status(500), "http_500"),
        (hang, "timeout"),
        (drip, "timeout"),
        (reset, "connection"),
        (reset_in_body, "truncated"),
        (body(b"<html>"), "not_json"),
        (body(b"[]"), "not_json"),
        (body(json.dumps(OUTCOME).encode()), "operation_outcome"),
    ],
)
async def test_a_page_that_keeps_failing_is_given_up_while_its_source_answers(failure: Handler, reason: str) -> None:
    upstream = Upstream(page("x"), otherwise=for_a_patient(failure))
    async with upstream.serve(), opened(upstream, bounds=SHORT) as source:
        await source.first_page("Practitioner", [])
        with pytest.raises(PageFailed) as failed:
            await source.first_page("Communication", SEARCH)
        assert source.retries == 5
    assert failed.value.reason == reason
    assert_discreet(failed.value)


async def test_a_page_that_hangs_longer_than_the_patience_does_not_pass_for_a_source_that_does() -> None:
    """The last page of a run, alone on the line: the source is asked for something else before it is given up."""
    upstream = Upstream(page("x"), otherwise=for_a_patient(hang))
    async with upstream.serve(), opened(upstream, bounds=SHORT, MIRROR_PATIENCE="1s") as source:
        await source.first_page("Practitioner", [])
        with pytest.raises(PageFailed) as failed:
            await source.first_page("Communication", SEARCH)
    assert failed.value.reason == "timeout"
    assert any("_id=" in seen.path for seen in upstream.seen)


@pytest.mark.parametrize("failure", [status(502), status(503), status(504), status(429), reset, hang])
async def test_a_source_that_stays_away_longer_than_the_patience_is_given_up(failure: Handler) -> None:
    clock = FakeClock()
    upstream = Upstream(page("x"), otherwise=failure)
    async with upstream.serve(), opened(upstream, clock, SHORT, MIRROR_PATIENCE="60s") as source:
        await source.first_page("Practitioner", [])
        with pytest.raises(SourceAway) as away:
            await source.first_page("Communication", SEARCH)
    assert sum(clock.waits) == pytest.approx(60)
    assert away.value.exit_code == EXIT_SOURCE
    assert away.value.safe
    assert "CANVAS_FHIR_URL" in away.value.next
    assert_discreet(away.value)


async def test_a_source_that_was_never_there_is_given_up_after_ten_seconds() -> None:
    clock = FakeClock()
    async with Upstream().serve() as upstream:
        settings = settings_for(upstream.url)
    async with Source.open(settings, clock=clock.clock()) as source:
        with pytest.raises(SourceAway, match="could not be reached"):
            await source.first_page("Communication", SEARCH)
    assert sum(clock.waits) == pytest.approx(10)


async def test_a_source_that_asks_for_a_longer_wait_than_the_patience_is_given_up_at_once() -> None:
    clock = FakeClock()
    upstream = Upstream(page("x"), otherwise=status(503, Retry_After="3600"))
    async with upstream.serve(), opened(upstream, clock) as source:
        await source.first_page("Practitioner", [])
        with pytest.raises(SourceAway, match="3600 s"):
            await source.first_page("Communication", SEARCH)
    assert clock.waits == []


async def test_all_that_wait_for_a_source_that_is_gone_give_up_together() -> None:
    """Patience is the source's, not each request's: eight of them wait no longer than one."""
    clock = FakeClock()
    upstream = Upstream(page("x"), otherwise=status(502))
    async with upstream.serve(), opened(upstream, clock, MIRROR_CONCURRENCY="2", MIRROR_PATIENCE="20s") as source:
        await source.first_page("Practitioner", [])
        asked = [source.first_page("Communication", SEARCH) for _ in range(8)]
        ends = await asyncio.gather(*asked, return_exceptions=True)
    assert {type(end) for end in ends} == {SourceAway}
    assert clock.now_s < 1000 + 3 * 20


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
