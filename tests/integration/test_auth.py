from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tests.integration.loopback import (
    SEARCH,
    SECRET,
    FakeClock,
    Handler,
    Upstream,
    assert_discreet,
    body,
    client_settings_for,
    for_a_patient,
    page,
    reset,
    settings_for,
    status,
    token,
)
from worker.errors import EXIT_USAGE, AccessRefused, PageFailed, SettingsError, SourceAway
from worker.extract.client import Source
from worker.extract.patience import REFUSED_TOKEN_S
from worker.records import Page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from aiohttp import web


@asynccontextmanager
async def opened(upstream: Upstream, clock: FakeClock | None = None, **more: str) -> AsyncIterator[Source]:
    settings = client_settings_for(upstream.url, **more)
    async with Source.open(settings, clock=(clock or FakeClock()).clock()) as source:
        yield source


def counted(expires_in: object = 36000) -> Handler:
    """Grant `token-1`, then `token-2`, and so on."""
    granted = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal granted
        granted += 1
        return await token(f"token-{granted}", expires_in)(request)

    return answer


def accept_only(upstream: Upstream, good: str) -> None:
    """Answer pages to whoever shows the token `good`, 401 to others."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return await (page("a") if request.headers["Authorization"] == f"Bearer {good}" else status(401))(request)

    upstream.otherwise = answer


async def test_a_token_is_asked_for_by_a_form_and_reused() -> None:
    async with Upstream().serve() as upstream, opened(upstream) as source:
        for _ in range(3):
            await source.first_page("Communication", SEARCH)
        assert source.requests == 4
    (asked,) = upstream.asked_for_tokens
    assert asked.method == "POST"
    assert asked.form == {"grant_type": "client_credentials", "client_id": "mirror", "client_secret": SECRET}
    assert asked.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert {seen.headers["Authorization"] for seen in upstream.seen} == {"Bearer token-1"}


async def test_fifty_callers_cause_one_token_request() -> None:
    async with Upstream().serve() as upstream, opened(upstream, MIRROR_CONCURRENCY="50") as source:
        await asyncio.gather(*(source.first_page("Communication", SEARCH) for _ in range(50)))
    assert (len(upstream.asked_for_tokens), len(upstream.seen)) == (1, 50)


@pytest.mark.parametrize(("expires_in", "good_for_s"), [(36000, 35940), ("36000", 35940), (300, 270), (10.5, 9.4)])
async def test_a_token_is_replaced_ahead_of_its_expiry(expires_in: object, good_for_s: float) -> None:
    """A minute ahead, or a tenth of its life if that is shorter."""
    clock = FakeClock()
    async with Upstream().serve() as upstream, opened(upstream, clock) as source:
        upstream.tokens = token("token-1", expires_in)
        await source.first_page("Communication", SEARCH)
        clock.now_s += good_for_s - 0.1
        await source.first_page("Communication", SEARCH)
        assert len(upstream.asked_for_tokens) == 1
        clock.now_s += 0.2
        await source.first_page("Communication", SEARCH)
        assert len(upstream.asked_for_tokens) == 2


async def test_a_token_is_taken_when_the_request_starts_not_when_it_is_queued() -> None:
    """Sixteen requests wait four seconds for their turn, longer than a token lives; none shows a stale one."""
    granted_at, arrivals = dict[str, float](), list[float]()

    class Arriving(FakeClock):
        """No time passes while a request is on its way."""

        async def sleep(self, seconds: float) -> None:
            while len(arrivals) < source.requests:  # noqa: ASYNC110 - a connection sets no event
                await asyncio.sleep(0)
            await super().sleep(seconds)

    async def grant(request: web.Request) -> web.StreamResponse:
        arrivals.append(clock.now_s)
        name = f"token-{len(granted_at) + 1}"
        granted_at[f"Bearer {name}"] = clock.now_s
        return await token(name, 3)(request)

    async def check(request: web.Request) -> web.StreamResponse:
        arrivals.append(clock.now_s)
        is_good = clock.now_s - granted_at[request.headers["Authorization"]] < 3
        return await (page("a") if is_good else status(401))(request)

    clock, more = Arriving(), {"MIRROR_RATE": "4", "MIRROR_CONCURRENCY": "16"}
    async with Upstream(otherwise=check).serve() as upstream, opened(upstream, clock, **more) as source:
        upstream.tokens = grant
        await asyncio.gather(*(source.first_page("Communication", SEARCH) for _ in range(48)))
        assert (len(upstream.seen), source.retries) == (48, 0)
    assert len(granted_at) >= 4
    assert all(later - earlier >= 0.25 for earlier, later in pairwise(arrivals))


async def test_a_token_that_grew_stale_during_a_wait_is_replaced_before_the_next_attempt() -> None:
    script = (status(503, Retry_After="5"), page("a"))
    async with Upstream(*script).serve() as upstream, opened(upstream) as source:
        upstream.tokens = counted(expires_in=3)
        await source.first_page("Communication", SEARCH)
    assert [seen.headers["Authorization"] for seen in upstream.seen] == ["Bearer token-1", "Bearer token-2"]


@pytest.mark.parametrize("lifetime", ["", ', "expires_in": null', ', "expires_in": "never"', ', "expires_in": -1'])
async def test_a_token_without_a_lifetime_is_used_until_it_is_refused(lifetime: str) -> None:
    clock = FakeClock()
    async with Upstream().serve() as upstream, opened(upstream, clock) as source:
        upstream.tokens = body(f'{{"access_token": "token-1"{lifetime}}}'.encode())
        await source.first_page("Communication", SEARCH)
        clock.now_s += 10**6
        await source.first_page("Communication", SEARCH)
        assert len(upstream.asked_for_tokens) == 1
        upstream.script.append(status(401))
        await source.first_page("Communication", SEARCH)
        assert len(upstream.asked_for_tokens) == 2


async def test_a_refused_token_is_replaced_once_for_all_who_used_it() -> None:
    async with Upstream().serve() as upstream, opened(upstream, MIRROR_CONCURRENCY="20") as source:
        upstream.tokens = counted()
        await source.first_page("Communication", SEARCH)
        accept_only(upstream, "token-2")
        await asyncio.gather(*(source.first_page("Communication", SEARCH) for _ in range(20)))
        assert source.retries == 0
    assert len(upstream.asked_for_tokens) == 2


async def test_a_token_that_is_revoked_soon_after_it_was_accepted_is_replaced_at_once() -> None:
    clock = FakeClock()
    async with Upstream().serve() as upstream, opened(upstream, clock) as source:
        upstream.tokens = counted()
        for token in ("token-1", "token-2", "token-3"):
            accept_only(upstream, token)
            await source.first_page("Communication", SEARCH)
        assert clock.waits == []
    assert len(upstream.asked_for_tokens) == 3


async def test_a_new_token_that_is_refused_for_half_a_minute_is_the_end() -> None:
    """Once the source has refused something small as well, with the same token."""
    clock = FakeClock()
    async with Upstream(otherwise=status(401)).serve() as upstream, opened(upstream, clock) as source:
        upstream.tokens = counted()
        with pytest.raises(AccessRefused) as refused:
            await source.first_page("Communication", SEARCH)
    assert sum(clock.waits) == pytest.approx(REFUSED_TOKEN_S)
    assert len(upstream.asked_for_tokens) == 2
    assert "_id=" in upstream.seen[-1].path
    assert [seen.headers["Authorization"][-1] for seen in upstream.seen][:2] == ["1", "2"]
    assert {seen.headers["Authorization"][-1] for seen in upstream.seen[1:]} == {"2"}
    assert refused.value.exit_code == EXIT_USAGE
    assert refused.value.next
    assert_discreet(refused.value)


@pytest.mark.parametrize("answers_before", [0, 1])
async def test_a_fresh_token_that_is_refused_for_its_first_seconds_is_waited_for(answers_before: int) -> None:
    """It is not known everywhere at once, at the start or after it was replaced in the middle of a run."""
    clock = FakeClock()

    async def only_after_a_while(request: web.Request) -> web.StreamResponse:
        return await (page("a") if clock.now_s >= 1003 else status(401))(request)

    upstream = Upstream(*[page("x")] * answers_before, otherwise=only_after_a_while)
    async with upstream.serve(), opened(upstream, clock) as source:
        upstream.tokens = counted()
        for _ in range(answers_before):
            await source.first_page("Practitioner", [])
        await asyncio.gather(*(source.first_page("Communication", SEARCH) for _ in range(8)))
    assert len(upstream.asked_for_tokens) == 2
    assert clock.now_s < 1003 + 30


async def test_a_401_to_everybody_for_a_second_is_survived_with_a_ready_token_too() -> None:
    clock = FakeClock()

    async def not_for_a_second(request: web.Request) -> web.StreamResponse:
        return await (page("a") if clock.now_s >= 1001 else status(401))(request)

    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(Upstream(page("x")).serve())
        source = await stack.enter_async_context(Source.open(settings_for(upstream.url), clock=clock.clock()))
        await source.first_page("Practitioner", [])
        upstream.otherwise = not_for_a_second
        await asyncio.gather(*(source.first_page("Communication", SEARCH) for _ in range(8)))
    assert len(upstream.seen) > 9


@pytest.mark.parametrize("probed", [403, 404, 503])
async def test_a_probe_that_is_not_answered_with_a_page_blames_no_page(probed: int) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return await status(probed if "_id" in request.query else 401)(request)

    async with Upstream(otherwise=answer).serve() as upstream, opened(upstream) as source:
        with pytest.raises(AccessRefused):
            await source.first_page("Communication", SEARCH)


@pytest.mark.parametrize("ready", [False, True])
async def test_one_search_that_is_always_refused_fails_alone(ready: bool) -> None:
    """The token is good for everything else, and goes on being used, be it from a client or ready-made."""
    upstream = Upstream(otherwise=for_a_patient(status(401)))
    upstream.tokens = counted()
    async with upstream.serve():
        settings = settings_for(upstream.url) if ready else client_settings_for(upstream.url)
        async with Source.open(settings, clock=FakeClock().clock()) as source:
            asked = [source.first_page("Communication", SEARCH), source.first_page("Practitioner", [])]
            failed, other = await asyncio.gather(*asked, return_exceptions=True)
            assert isinstance(failed, PageFailed)
            assert failed.reason == "http_401"
            assert_discreet(failed)
            assert isinstance(other, Page)
            await source.first_page("Practitioner", [])
    assert len(upstream.asked_for_tokens) == (0 if ready else 2)


@pytest.mark.parametrize("code", [400, 401, 403])
async def test_wrong_credentials_are_tried_once_however_many_callers_wait(code: int) -> None:
    async with Upstream().serve() as upstream, opened(upstream) as source:
        upstream.tokens = body(b'\xef\xbb\xbf{"error": "invalid_client", "error_description": "words"}', code)
        asked = (source.first_page("Communication", SEARCH) for _ in range(10))
        ends = await asyncio.gather(*asked, return_exceptions=True)
    assert (len(upstream.asked_for_tokens), len(upstream.seen)) == (1, 0)
    for end in ends:
        assert isinstance(end, AccessRefused)
        assert "CANVAS_CLIENT_SECRET" in end.next
        assert "CANVAS_AUTH_URL" in end.next  # the endpoint of another instance refuses them as well
        assert_discreet(end)


@pytest.mark.parametrize(
    "answer",
    [
        status(404),
        body(b"<html>Log in</html>"),
        body(b"{}"),
        body(b'{"access_token": 7}'),
        body(b'{"access_token": "two words"}'),
        body(b'{"access_token": "a\\r\\nX-Injected: b"}'),
        body(b'{"access_token": ""}'),
    ],
)
async def test_an_endpoint_that_gives_no_token_is_named_as_such(answer: Handler) -> None:
    """After it was waited for as for any server before its first answer: it may be maintenance."""
    clock = FakeClock()
    async with Upstream().serve() as upstream, opened(upstream, clock) as source:
        upstream.tokens = answer
        with pytest.raises(SettingsError) as refused:
            await source.first_page("Communication", SEARCH)
    assert sum(clock.waits) == pytest.approx(60)
    assert refused.value.exit_code == EXIT_USAGE
    assert "CANVAS_AUTH_URL" in refused.value.next
    assert "not a token endpoint" in refused.value.what
    assert_discreet(refused.value)
    assert upstream.seen == []


@pytest.mark.parametrize("answer", [body(b"<html>Maintenance</html>"), body(b"<html>Blocked</html>", 403), status(404)])
@pytest.mark.parametrize("answers_before", [0, 1])
async def test_an_endpoint_under_maintenance_is_waited_for(answer: Handler, answers_before: int) -> None:
    """At the start, and when the token is replaced in the middle of a run."""
    clock, began = FakeClock(), list[float]()

    async def maintained(request: web.Request) -> web.StreamResponse:
        began.append(clock.now_s)
        return await (token("token-2") if clock.now_s >= began[0] + 5 else answer)(request)

    async with Upstream().serve() as upstream, opened(upstream, clock) as source:
        upstream.tokens = token(expires_in=300)
        for _ in range(answers_before):
            await source.first_page("Practitioner", [])
        upstream.tokens = maintained
        clock.now_s += 300
        await source.first_page("Communication", SEARCH)
    assert upstream.seen[-1].headers["Authorization"] == "Bearer token-2"


async def test_the_secret_is_not_sent_after_a_redirect() -> None:
    async with Upstream().serve() as stranger, Upstream().serve() as upstream, opened(upstream) as source:
        upstream.tokens = status(307, Location=f"{stranger.url}/auth/token/")
        with pytest.raises(SettingsError):
            await source.first_page("Communication", SEARCH)
    assert stranger.asked_for_tokens == []


@pytest.mark.parametrize("failure", [status(429), status(500), status(503), reset])
async def test_a_failure_of_the_token_endpoint_is_retried(failure: Handler) -> None:
    clock, failures = FakeClock(), [failure, failure]

    async def fail_twice(request: web.Request) -> web.StreamResponse:
        return await (failures.pop() if failures else token())(request)

    async with Upstream().serve() as upstream, opened(upstream, clock) as source:
        upstream.tokens = fail_twice
        await source.first_page("Communication", SEARCH)
    assert clock.waits == [0.25, 0.5]


@pytest.mark.parametrize("failure", [status(500), status(503)])
async def test_a_token_endpoint_that_stays_away_ends_the_run_and_fails_no_page(failure: Handler) -> None:
    """Even right after it gave a token: there is no page that could be at fault."""
    clock = FakeClock()
    async with Upstream().serve() as upstream, opened(upstream, clock, MIRROR_PATIENCE="90s") as source:
        await source.first_page("Communication", SEARCH)
        upstream.tokens, upstream.otherwise = failure, status(401)
        with pytest.raises(SourceAway, match="token endpoint") as away:
            await source.first_page("Communication", SEARCH)
    assert sum(clock.waits) == pytest.approx(90)
    assert "CANVAS_AUTH_URL" in away.value.next
    assert_discreet(away.value)


async def test_a_rotated_client_secret_is_read_from_its_file_without_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("old-secret\n")
    more = {"CANVAS_CLIENT_SECRET": "", "CANVAS_CLIENT_SECRET_FILE": str(file)}
    async with Upstream().serve() as upstream, opened(upstream, None, **more) as source:
        await source.first_page("Communication", SEARCH)
        file.write_text("new-secret\n")
        upstream.script.append(status(401))
        await source.first_page("Communication", SEARCH)
    assert [asked.form["client_secret"] for asked in upstream.asked_for_tokens] == ["old-secret", "new-secret"]


async def test_a_secret_file_that_is_gone_is_named_and_nothing_is_sent(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("secret")
    more = {"CANVAS_CLIENT_SECRET": "", "CANVAS_CLIENT_SECRET_FILE": str(file)}
    async with Upstream().serve() as upstream, opened(upstream, None, **more) as source:
        file.unlink()
        with pytest.raises(SettingsError, match="CANVAS_CLIENT_SECRET_FILE"):
            await source.first_page("Communication", SEARCH)
    assert upstream.asked_for_tokens == []


async def test_a_ready_token_that_is_refused_is_not_tried_again() -> None:
    """But for something small, to know whether it is the token."""
    async with Upstream(otherwise=status(401)).serve() as upstream, Source.open(settings_for(upstream.url)) as source:
        with pytest.raises(AccessRefused) as refused:
            await source.first_page("Communication", SEARCH)
    assert (["_id=" in seen.path for seen in upstream.seen], upstream.asked_for_tokens) == ([False, True], [])
    assert "CANVAS_TOKEN" in refused.value.next


async def test_a_rotated_ready_token_is_read_from_its_file_after_a_401(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old-token\n")
    async with Upstream().serve() as upstream:
        accept_only(upstream, "old-token")
        settings = settings_for(upstream.url, CANVAS_TOKEN="", CANVAS_TOKEN_FILE=str(file))
        async with Source.open(settings, clock=FakeClock().clock()) as source:
            await source.first_page("Communication", SEARCH)
            file.write_text("new-token\n")
            accept_only(upstream, "new-token")
            await source.first_page("Communication", SEARCH)
    assert [s.headers["Authorization"] for s in upstream.seen] == ["Bearer old-token"] * 2 + ["Bearer new-token"]


async def test_a_ready_token_that_cannot_be_one_is_refused_before_anything_is_sent() -> None:
    async with Upstream().serve() as upstream:
        settings = settings_for(upstream.url, CANVAS_TOKEN="two words")
        async with Source.open(settings, clock=FakeClock().clock()) as source:
            with pytest.raises(SettingsError) as wrong:
                await source.first_page("Communication", SEARCH)
    assert "two words" not in f"{wrong.value!r}{wrong.value.next}"
    assert upstream.seen == []


async def test_a_caller_that_is_cancelled_while_a_token_is_fetched_leaves_it_to_the_next() -> None:
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        arrived.set()
        await go_on.wait()
        return await token()(request)

    async with asyncio.timeout(20), Upstream().serve() as upstream, opened(upstream) as source:
        upstream.tokens = slow
        first = asyncio.create_task(source.first_page("Communication", SEARCH))
        second = asyncio.create_task(source.first_page("Communication", SEARCH))
        await arrived.wait()
        first.cancel()
        go_on.set()
        assert await second
        with pytest.raises(asyncio.CancelledError):
            await first
