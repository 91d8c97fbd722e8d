"""When the client asks again, when it gives a page up, and when the source."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from tests.integration.loopback import (
    SEARCH,
    SERVER_WORDS,
    START,
    FakeClock,
    Handler,
    Upstream,
    assert_discreet,
    body,
    bundle,
    drip,
    for_a_patient,
    hang,
    opened,
    page,
    reset,
    reset_in_body,
    settings_for,
    status,
)
from worker.errors import EXIT_SOURCE, PageFailed, SourceAway
from worker.extract import connection
from worker.extract.client import Source
from worker.extract.connection import SAID_EVERY_S
from worker.extract.exchange import Answer, Bounds, Request, exchange
from worker.extract.pace import Failure

if TYPE_CHECKING:
    from aiohttp import ClientSession

# For what never ends; long enough for an answer on a busy machine.
SHORT = Bounds(connect_s=5, read_s=0.4, total_s=0.8)
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"details": {"text": SERVER_WORDS}}]}


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
    async with upstream.serve(), opened(upstream, clock, SHORT if failure in {hang, drip} else None) as source:
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


async def test_an_outage_that_many_requests_meet_is_said_every_ten_seconds_and_its_end_once() -> None:
    clock, upstream = FakeClock(), Upstream(page("x"), *[status(503)] * 40, page("a"))
    async with upstream.serve(), opened(upstream, clock) as source:
        await source.first_page("Practitioner", [])
        with capture_logs() as logs:
            await asyncio.gather(*(source.first_page("Communication", SEARCH) for _ in range(8)))
        assert source.retries == 40
    said = [log["event"] for log in logs]
    assert said.count("source answers again") == 1
    assert said.index("source answers again") == len(said) - 1 <= sum(clock.waits) / SAID_EVERY_S + 1


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
        (reset, "connection"),
        (reset_in_body, "truncated"),
        (body(b"<html>"), "not_json"),
        (body(b"[]"), "not_json"),
        (body(json.dumps(OUTCOME).encode()), "operation_outcome"),
    ],
)
async def test_a_page_that_keeps_failing_is_given_up_while_its_source_answers(failure: Handler, reason: str) -> None:
    upstream = Upstream(page("x"), otherwise=for_a_patient(failure))
    async with upstream.serve(), opened(upstream) as source:
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


@pytest.mark.parametrize("failure", [status(502), status(503), status(504), status(429), reset])
async def test_a_source_that_stays_away_longer_than_the_patience_is_given_up(failure: Handler) -> None:
    clock = FakeClock()
    upstream = Upstream(page("x"), otherwise=failure)
    async with upstream.serve(), opened(upstream, clock, MIRROR_PATIENCE="60s") as source:
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


@pytest.mark.parametrize(("answers", "bounds"), [(0, [(10, 10, 10)]), (1, [(10, 20, 120), (10, 20, 10)])])
async def test_a_source_that_accepts_and_never_answers_is_given_up_within_the_patience(
    answers: int, bounds: list[tuple[float, float, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its first answer, be it as it may, in ten seconds; later as soon as the patience is over."""
    clock, asked = FakeClock(), list[Bounds]()
    upstream = Upstream(*[page("x")] * answers, otherwise=hang)

    async def in_no_time(session: ClientSession, request: Request, bounds: Bounds, proxy: None) -> Answer | Failure:
        """Let the clock tell how long a request would have hung."""
        asked.append(bounds)
        answer = await exchange(session, request, replace(bounds, read_s=0.2, total_s=0.2), proxy)
        if isinstance(answer, Failure):
            clock.now_s += min(bounds.read_s, bounds.total_s)
        return answer

    async with upstream.serve(), opened(upstream, clock, MIRROR_PATIENCE="20s") as source:
        for _ in range(answers):
            await source.first_page("Practitioner", [])
        monkeypatch.setattr(connection, "exchange", in_no_time)
        with pytest.raises(SourceAway, match="timeout"):
            await source.first_page("Communication", SEARCH)
    assert [(one.connect_s, one.read_s, one.total_s) for one in asked] == bounds


async def test_a_source_that_really_never_answers_is_given_up_before_a_request_would_be() -> None:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(asyncio.timeout(50))
        upstream = await stack.enter_async_context(Upstream(otherwise=hang).serve())
        settings = settings_for(upstream.url, MIRROR_PATIENCE="1s")
        source = await stack.enter_async_context(Source.open(settings))
        with pytest.raises(SourceAway, match="timeout"):
            await source.first_page("Communication", SEARCH)


async def test_a_source_that_asks_for_a_longer_wait_than_the_patience_is_given_up_at_once() -> None:
    clock = FakeClock()
    upstream = Upstream(page("x"), otherwise=status(503, Retry_After="3600"))
    async with upstream.serve(), opened(upstream, clock) as source:
        await source.first_page("Practitioner", [])
        with pytest.raises(SourceAway, match="3600 s") as away:
            await source.first_page("Communication", SEARCH)
    assert clock.waits == []
    assert "reached" not in away.value.what
    assert "Wait 3600 s" in away.value.next
    assert "MIRROR_RATE" in away.value.next


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
