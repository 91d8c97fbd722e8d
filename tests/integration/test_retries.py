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
    refusal,
    reset,
    reset_in_body,
    settings_for,
    status,
)
from worker.errors import EXIT_SOURCE, EXIT_USAGE, PageFailed, SettingsError, SourceAway
from worker.extract import connection
from worker.extract.client import Source
from worker.extract.connection import SAID_EVERY_S
from worker.extract.exchange import Answer, Bounds, Request, exchange
from worker.extract.patience import Failure

if TYPE_CHECKING:
    from aiohttp import ClientSession, web

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
        status(408),
        status(425),
        status(403),
        status(404),
        status(400),
        status(204),
        body(b"", 403),
        body(b"<html>Blocked</html>", 403),
        body(b"default backend - 404", 404),
        body(b"", 302, Location="https://maintenance.test/"),
        refusal(403, "throttled"),
        refusal(400, "informational", "timeout"),
        refusal(404, "lock-error"),
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


async def test_a_pace_is_learnt_from_refusals_that_say_nothing_of_when_to_come_back() -> None:
    """Of a source that bears 20 requests a second; without learning, nearly every second request would be refused."""
    tokens, last, refused = 20.0, 0.0, 0

    async def bear_twenty(request: web.Request) -> web.StreamResponse:
        nonlocal tokens, last, refused
        now = asyncio.get_running_loop().time()
        tokens, last = min(20.0, tokens + (now - last) * 20), now
        if tokens < 1:
            refused += 1
            return await status(429)(request)
        tokens -= 1
        return await page("a")(request)

    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(Upstream(otherwise=bear_twenty).serve())
        source = await stack.enter_async_context(Source.open(settings_for(upstream.url)))
        await asyncio.gather(*(source.first_page("Communication", SEARCH) for _ in range(150)))
        assert source.requests == 150 + refused
    assert refused < 150 / 5


# Failures that stay


@pytest.mark.parametrize("code", [400, 403, 404, 405, 410, 412, 422])
async def test_a_refusal_by_the_source_itself_fails_the_page_at_once(code: int) -> None:
    upstream = Upstream(otherwise=refusal(code, "not-found", SERVER_WORDS))
    async with upstream.serve(), opened(upstream) as source:
        with pytest.raises(PageFailed) as failed:
            await source.first_page("Communication", SEARCH)
    assert failed.value.reason == f"http_{code}"
    assert failed.value.codes == {"not-found"}, "nothing but FHIR's own codes"
    assert_discreet(failed.value)
    assert len(upstream.seen) == 1


@pytest.mark.parametrize("answer", [status(403), status(404), body(b"<html>", 403), body(b"<html>"), body(b"", 302)])
async def test_a_firewall_that_blocks_everybody_for_a_minute_costs_time_and_no_page(answer: Handler) -> None:
    """From the first request on, and in the middle of a run: the pauses grow, nobody is blamed, and no page is lost."""
    for before in (0, 1):
        clock, upstream = FakeClock(), Upstream(*[page("x")] * before)

        async def block(request: web.Request, clock: FakeClock = clock) -> web.StreamResponse:
            return await (answer if clock.now_s < 1000 + 55 else page("a"))(request)

        upstream.otherwise = block
        async with upstream.serve(), opened(upstream, clock) as source:
            for _ in range(before):
                await source.first_page("Practitioner", [])
            pages = await asyncio.gather(*(source.first_page("Communication", SEARCH) for _ in range(8)))
        assert len(pages) == 8
        assert max(clock.waits) > 4 * min(clock.waits)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (body(b"<html><form>Log in</form></html>"), "a web page (200), such as a login page"),
        (body(b"\n<!doctype html><title>404</title>", 404), "a web page (404)"),
        (status(404), "something else (404)"),
        (status(403), "something else (403)"),
        (body(b"", 302, Location="https://login.test/"), "a redirect to somewhere else (302)"),
        (body(b'{"swagger": "2.0"}'), "something else (200)"),
    ],
)
@pytest.mark.parametrize("first_s", [60, 10])
async def test_a_url_where_something_else_answers_from_the_start_is_a_wrong_setting(
    answer: Handler, said: str, first_s: int
) -> None:
    """Or maintenance: it is waited for as for any source before its first answer, then it is said what it is."""
    clock, upstream = FakeClock(), Upstream(otherwise=answer)
    async with upstream.serve():
        patience = timedelta(seconds=first_s)
        async with Source.open(settings_for(upstream.url), clock=clock.clock(), first_patience=patience) as source:
            with pytest.raises(SettingsError) as wrong:
                await source.first_page("Communication", SEARCH)
    assert wrong.value.exit_code == EXIT_USAGE
    assert f"What answers at CANVAS_FHIR_URL is {said}" in wrong.value.what
    assert "A wrong URL, or maintenance" in wrong.value.next
    assert sum(clock.waits) == pytest.approx(first_s)
    assert_discreet(wrong.value)


@pytest.mark.parametrize("also", [status(503), status(500), reset, status(429)])
async def test_a_source_that_also_says_that_it_is_in_trouble_is_away(also: Handler) -> None:
    """Web pages alone make a wrong URL: whoever answers 503 in between is there, and trying again is right."""
    clock, upstream = FakeClock(), Upstream(status(404), *[also] * 3, otherwise=status(404))
    async with upstream.serve(), opened(upstream, clock) as source:
        with pytest.raises(SourceAway) as away:
            await source.first_page("Communication", SEARCH)
    assert away.value.exit_code == EXIT_SOURCE


async def test_a_firewall_that_stays_longer_than_the_patience_is_not_called_a_scope() -> None:
    clock, upstream = FakeClock(), Upstream(page("x"), otherwise=body(b"<html>Blocked</html>", 403))
    async with upstream.serve(), opened(upstream, clock, MIRROR_PATIENCE="90s") as source:
        await source.first_page("Practitioner", [])
        with pytest.raises(SourceAway, match=r"In its place answers a web page \(403\)") as away:
            await source.first_page("Communication", SEARCH)
    assert "firewall" in away.value.next
    assert "scope" not in away.value.told()


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (status(500), "http_500"),
        (reset, "connection"),
        (reset_in_body, "truncated"),
        (body(b"<html>"), "not_json"),
        (body(b"[]"), "not_json"),
        (status(403), "not_fhir_403"),
        (body(b"<html>", 404), "not_fhir_404"),
        (body(b"", 302), "redirect"),
        (status(408), "http_408"),
        (refusal(403, "transient"), "operation_outcome"),
        (body(json.dumps(OUTCOME).encode()), "operation_outcome"),
    ],
)
async def test_a_page_that_keeps_failing_is_given_up_while_its_source_answers(failure: Handler, reason: str) -> None:
    upstream = Upstream(page("x"), otherwise=for_a_patient(failure))
    async with upstream.serve(), opened(upstream) as source:
        await source.first_page("Practitioner", [])
        with pytest.raises(PageFailed) as failed:
            await source.first_page("Communication", SEARCH)
        assert source.retries == 6, "once more after the source has answered something else"
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


async def test_a_source_that_was_never_there_is_given_up_after_a_minute() -> None:
    clock = FakeClock()
    async with Upstream().serve() as upstream:
        settings = settings_for(upstream.url)
    async with Source.open(settings, clock=clock.clock()) as source:
        with pytest.raises(SourceAway, match="could not be reached"):
            await source.first_page("Communication", SEARCH)
    assert sum(clock.waits) == pytest.approx(60)


@pytest.mark.parametrize(("answers", "bounds"), [(0, [(10, 20, 20)]), (1, [(10, 20, 120), (10, 20, 10)])])
async def test_a_source_that_accepts_and_never_answers_is_given_up_within_the_patience(
    answers: int, bounds: list[tuple[float, float, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its first answer within a minute, or the patience if that is less; later when the patience is over."""
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
