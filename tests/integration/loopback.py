"""A scripted FHIR server on the loopback interface, and a clock that runs only while the mirror waits."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from aiohttp import web

from worker.extract.client import Source
from worker.extract.connection import Clock
from worker.settings import Settings, read_settings

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

    from worker.errors import MirrorError
    from worker.extract.exchange import Bounds

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

PATIENT = "4c21aa00bb11cc22dd33ee44ff556677"
SERVER_WORDS = "words-of-the-server"
SECRET = "s3cret-of-the-client"
SEARCH = [("recipient", f"Patient/{PATIENT}")]
START = datetime(2024, 3, 1, 12, 0, tzinfo=UTC)


class FakeClock:
    """Time stands still but for the mirror's own waits, which are noted. `on_wait` runs after each of them."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.waits: list[float] = []
        self.on_wait: Callable[[int], Awaitable[None]] | None = None

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now_s += seconds
        if self.on_wait is not None:
            await self.on_wait(len(self.waits))
        await asyncio.sleep(0)

    def clock(self) -> Clock:
        return Clock(
            monotonic=lambda: self.now_s,
            utc_now=lambda: START + timedelta(seconds=self.now_s - 1000.0),
            sleep=self.sleep,
            jitter=lambda: 0.0,
        )


@dataclass(frozen=True)
class Seen:
    """A request as the server saw it."""

    method: str
    path: str
    headers: dict[str, str]
    form: dict[str, str]


class Upstream:
    """Answers every request by the next of `script`, or by `otherwise` when the script is over."""

    def __init__(self, *script: Handler, otherwise: Handler | None = None) -> None:
        self.script = deque(script)
        self.otherwise = otherwise or page()
        self.tokens: Handler = token()
        self.seen: list[Seen] = []
        self.asked_for_tokens: list[Seen] = []
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        form = {key: str(value) for key, value in (await request.post()).items()}
        seen = Seen(request.method, request.raw_path, dict(request.headers), form)
        if request.path == "/auth/token/":
            self.asked_for_tokens.append(seen)
            return await self.tokens(request)
        self.seen.append(seen)
        answer = self.script.popleft() if self.script else self.otherwise
        return await answer(request)

    @asynccontextmanager
    async def serve(self, *, tls: ssl.SSLContext | None = None, port: int = 0) -> AsyncIterator[Upstream]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.handle)
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        self._runner = runner
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
            self.url = f"http{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}"
            yield self
        finally:
            await runner.cleanup()

    async def die(self) -> None:
        """Stop listening and close all connections."""
        assert self._runner is not None
        await self._runner.cleanup()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


def settings_for(url: str, **more: str) -> Settings:
    """Return settings for the source at `url` with a ready token, changed by `more`; an empty string unsets."""
    return read_settings({"CANVAS_FHIR_URL": url, "CANVAS_TOKEN": "ready-token", **more})


def client_settings_for(url: str, **more: str) -> Settings:
    """Return settings for the source at `url` with a client instead of a token."""
    return read_settings({"CANVAS_FHIR_URL": url, "CANVAS_CLIENT_ID": "mirror", "CANVAS_CLIENT_SECRET": SECRET, **more})


@asynccontextmanager
async def opened(
    upstream: Upstream, clock: FakeClock | None = None, bounds: Bounds | None = None, **more: str
) -> AsyncIterator[Source]:
    """Open the source that `upstream` is, with a ready token."""
    settings = settings_for(upstream.url, **more)
    async with Source.open(settings, clock=(clock or FakeClock()).clock(), bounds=bounds) as source:
        yield source


def assert_discreet(error: MirrorError) -> None:
    """Hold that nothing of the request or of the server's words is in what a person or a log gets to see."""
    said = f"{error!r} {error} {error.what} {error.safe} {error.next}"
    assert PATIENT not in said
    assert SERVER_WORDS not in said
    assert "ready-token" not in said
    assert "token-1" not in said
    assert SECRET not in said


def bundle(*ids: str, total: int | None = None, following: str | None = None) -> bytes:
    """Return a searchset Bundle of Communications."""
    entries = [{"resource": {"resourceType": "Communication", "id": i}} for i in ids]
    links = [{"relation": "next", "url": following}] if following else []
    count = len(ids) if total is None else total
    return json.dumps(
        {"resourceType": "Bundle", "type": "searchset", "total": count, "link": links, "entry": entries}
    ).encode()


def page(*ids: str, total: int | None = None, following: str | None = None) -> Handler:
    """Answer a page, with a Content-Type that nobody may rely upon."""
    return body(bundle(*ids, total=total, following=following))


def body(content: bytes, status: int = 200, **headers: str) -> Handler:
    """Answer `content`; underscores of header names stand for hyphens."""

    async def answer(_request: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(body=content, status=status, headers={"Content-Type": "text/plain", **named})

    return answer


def status(code: int, **headers: str) -> Handler:
    """Answer a status and words that must not be repeated, as something does that is not the source."""
    return body(SERVER_WORDS.encode(), code, **headers)


def refusal(code: int, *issues: str) -> Handler:
    """Answer a status with an OperationOutcome of such issues, as the source itself does: by default `forbidden`."""
    told = [
        {"severity": "error", "code": issue, "details": {"text": SERVER_WORDS}} for issue in issues or ("forbidden",)
    ]
    return body(json.dumps({"resourceType": "OperationOutcome", "issue": told}).encode(), code)


def token(value: str = "token-1", expires_in: object = 36000) -> Handler:
    """Answer a grant."""
    return body(json.dumps({"access_token": value, "expires_in": expires_in, "token_type": "Bearer"}).encode())


def for_a_patient(failure: Handler) -> Handler:
    """Fail searches by patient, and answer everything else."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return await (failure if "recipient" in request.query else page())(request)

    return answer


async def hang(_request: web.Request) -> web.StreamResponse:
    """Never answer."""
    await asyncio.Event().wait()
    raise AssertionError


async def reset(request: web.Request) -> web.StreamResponse:
    """Break the connection without an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def reset_in_body(request: web.Request) -> web.StreamResponse:
    """Break the connection in the middle of a page."""
    response = web.StreamResponse(headers={"Content-Length": "5000"})
    await response.prepare(request)
    await response.write(bundle("a")[:20])
    assert request.transport is not None
    request.transport.abort()
    return response


async def drip(request: web.Request) -> web.StreamResponse:
    """Send a page so slowly that it never ends."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.02)
