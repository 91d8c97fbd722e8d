"""The requests to a server, all at one pace, and the one place where they are repeated.

`patience.decide` decides what follows a failure, and considers all requests to the server, not only the failed one.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

import aiohttp

from worker import __version__
from worker.errors import MirrorError, PageFailed
from worker.extract.answers import Means
from worker.extract.exchange import Answer, Bounds, Request, exchange
from worker.extract.pace import next_slot, parse_retry_after
from worker.extract.patience import (
    Attempts,
    Decision,
    Failure,
    GiveUpPage,
    GiveUpToken,
    Probe,
    Renew,
    Wait,
    decide,
)
from worker.extract.source_errors import source_away
from worker.extract.transport import tls_context
from worker.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from worker.extract.server import Server
    from worker.settings import Settings

Judged = TypeVar("Judged")

HEADER_BYTES = 64 * 1024
"""How long a response header may be: a Content-Security-Policy passes the 8 KiB that aiohttp takes by default."""
SAID_EVERY_S = 10.0
"""How often it is logged that a server does not answer."""

_HEADERS = {
    "User-Agent": f"canvas-message-mirror/{__version__}",
    "Accept": "application/fhir+json, application/json",
    "Accept-Encoding": "gzip",
}


@dataclass(frozen=True, slots=True)
class Clock:
    """Time and chance. `jitter` gives numbers in [0, 1), `monotonic` seconds, `utc_now` aware datetimes."""

    monotonic: Callable[[], float] = time.monotonic
    utc_now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    jitter: Callable[[], float] = random.random


class Tokens(Protocol):
    """The bearer tokens of requests, from `worker.extract.auth`."""

    @property
    def is_given(self) -> bool:
        """Whether the token is a ready one, for which there is no fresh one."""

    async def get(self) -> str:
        """Return a token that should be accepted now. Raises AccessRefused, SourceAway or SettingsError."""

    def can_replace(self, token: str) -> bool:
        """Tell whether there is a token other than `token`."""

    def note_accepted(self, token: str) -> None:
        """Note that the source answered a request with `token`."""

    def invalidate(self, token: str) -> None:
        """Note that the source refused `token` (401)."""

    def refusal(self) -> MirrorError:
        """Return the error for a source that refuses our tokens (401)."""


class Connection:
    """The session all requests of a process go through. `requests` and `retries` count them."""

    def __init__(self, session: aiohttp.ClientSession, rate_per_s: float | None, clock: Clock, bounds: Bounds) -> None:
        self.clock = clock
        self.requests = 0
        self.retries = 0
        self._session = session
        self._rate_per_s = rate_per_s
        self._bounds = bounds
        self._slot: float | None = None
        self._line = asyncio.Lock()

    @classmethod
    async def open(cls, settings: Settings, clock: Clock, bounds: Bounds) -> Self:
        """Return one that verifies TLS and keeps no cookies. Raises SettingsError for an unusable CA file."""
        context = await asyncio.to_thread(tls_context, settings.ca_file)
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=settings.concurrency, ssl=context),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=_HEADERS,
            max_line_size=HEADER_BYTES,
            max_field_size=HEADER_BYTES,
        )
        return cls(session, settings.rate_per_s, clock, bounds)

    async def close(self) -> None:
        """Close all sockets."""
        await self._session.close()

    async def ask(
        self,
        server: Server,
        request: Request,
        judge: Callable[[Answer], Judged | Failure],
        tokens: Tokens | None = None,
    ) -> Judged:
        """Send `request` until `judge` accepts its answer, and return what `judge` returns.

        Every attempt carries the token that `tokens` has then, if given; `Answer.request` has it. `judge` sees every
        answer, including the probe's. If it returns a Failure, the request is repeated as `patience.decide` says.
        Raises PageFailed if the request is at fault, SourceAway if the server stays away longer than its patience,
        SettingsError if its certificate is not trusted or something else answers there, AccessRefused if it refuses
        every token, and what `judge` and `tokens` raise.
        """
        attempts, first_began = Attempts(lasting=tokens is not None and tokens.is_given), self.clock.monotonic()
        while True:
            outcome, token = await self._attempt(server, request, judge, tokens, self._bounds)
            if not isinstance(outcome, Failure):
                return outcome
            attempts = self._noted(attempts, outcome, tokens, token)
            decision = self._decide(server, outcome, attempts)
            if isinstance(decision, Probe):
                await self._probe(server, request, judge, tokens)
                decision = self._decide(server, outcome, attempts, probed=True)
            attempts = replace(attempts, vouched=server.reach.silent_since is None)
            match decision:
                case Wait(seconds):
                    await self._wait(server, outcome, attempts.failed, seconds)
                case Renew() if tokens is not None:
                    attempts = replace(attempts, renewed=True, refused_since=None)
                    tokens.invalidate(token)
                case GiveUpPage(reason):
                    what = f"One page failed {attempts.failed} times ({reason}) while the source answers."
                    raise PageFailed(reason, what)
                case GiveUpToken() if tokens is not None:
                    raise tokens.refusal()
                case _:
                    raise source_away(server, outcome, attempts.failed, self.clock.monotonic() - first_began)

    def _noted(self, attempts: Attempts, failure: Failure, tokens: Tokens | None, token: str) -> Attempts:
        """Return the attempts with one more failure, and what it says of the token."""
        if tokens is None or failure.means is not Means.RENEW:
            return replace(attempts, failed=attempts.failed + 1, refused_since=None)
        since = self.clock.monotonic() if attempts.refused_since is None else attempts.refused_since
        return replace(attempts, failed=attempts.failed + 1, refused_since=since, other_token=tokens.can_replace(token))

    async def _attempt(
        self,
        server: Server,
        request: Request,
        judge: Callable[[Answer], Judged | Failure],
        tokens: Tokens | None,
        bounds: Bounds,
    ) -> tuple[Judged | Failure, str]:
        """Return the outcome of one attempt, and the token that it used."""
        if tokens is None:
            await self._take_slot(server)
        else:
            request = replace(request, token=await self._take_turn(server, tokens))
        began = self.clock.monotonic()
        self.requests += 1
        number = self.requests
        answer = await exchange(self._session, request, _within_patience(bounds, server, began), server.proxy)
        try:
            outcome = answer if isinstance(answer, Failure) else self._judged(answer, judge)
        except MirrorError:
            # A refusal is an answer, too.
            self._note_answer(server)
            raise
        if isinstance(outcome, Failure):
            server.reach = server.reach.failed(began, outcome)
            if outcome.means in {Means.SLOW_DOWN, Means.AWAY}:
                server.pace = server.pace.refused(number, self.requests)
        else:
            self._note_answer(server)
            if tokens is not None:
                tokens.note_accepted(request.token or "")
        return outcome, request.token or ""

    def _judged(self, answer: Answer, judge: Callable[[Answer], Judged | Failure]) -> Judged | Failure:
        outcome = judge(answer)
        if isinstance(outcome, Failure):
            return replace(outcome, retry_after_s=parse_retry_after(answer.retry_after, self.clock.utc_now()))
        return outcome

    def _note_answer(self, server: Server) -> None:
        now, silent_since = self.clock.monotonic(), server.reach.silent_since
        server.reach, server.pace, server.said_at = server.reach.answered(now), server.pace.answered(now), None
        if silent_since is not None and now - silent_since >= SAID_EVERY_S:
            get_logger().info("source answers again", seconds=round(now - silent_since))

    async def _probe(
        self, server: Server, request: Request, judge: Callable[[Answer], Judged | Failure], tokens: Tokens | None
    ) -> None:
        """Ask once for something small, unless the request itself asked for that."""
        if server.probe_url is None or server.probe_url == request.url:
            return
        quick = replace(self._bounds, total_s=self._bounds.connect_s)
        with suppress(PageFailed):
            await self._attempt(server, Request(server.probe_url), judge, tokens, quick)

    async def _take_turn(self, server: Server, tokens: Tokens) -> str:
        """Wait for a slot, and return the token of that moment, because an earlier one may be stale."""
        await tokens.get()  # before the line: if a first token cannot be had, that is one failure for all who wait
        async with self._line:
            slot = await self._take_slot(server)
            token = await tokens.get()
            if self._slot != slot:  # went to a request for a token
                await self._take_slot(server)
            return token

    async def _take_slot(self, server: Server) -> float:
        now = self.clock.monotonic()
        slot = self._slot = next_slot(self._slot, now, server.pace.limited_to(self._rate_per_s))
        if slot > now:
            await self.clock.sleep(slot - now)
        return slot

    def _decide(self, server: Server, failure: Failure, attempts: Attempts, *, probed: bool = False) -> Decision:
        now, jitter = self.clock.monotonic(), self.clock.jitter()
        return decide(failure, attempts, server.reach, server.patience, probed=probed, now=now, jitter=jitter)

    async def _wait(self, server: Server, failure: Failure, attempt: int, seconds: float) -> None:
        self.retries += 1
        now = self.clock.monotonic()
        # All requests meet the same outage: only one of them logs it.
        if server.said_at is None or now - server.said_at >= SAID_EVERY_S:
            server.said_at = now
            get_logger().warning(
                "source did not answer, will ask again",
                attempt=attempt,
                wait_seconds=round(seconds, 3),
                reason=failure.reason,
                status_code=failure.status_code,
            )
        await self.clock.sleep(seconds)


def _within_patience(bounds: Bounds, server: Server, now: float) -> Bounds:
    """Return the bounds of a request that starts now, because a source that never answers is away as well."""
    most_s = server.patience.answer_within_s(server.reach, now)
    read_s = min(bounds.read_s, most_s)
    if server.reach.last_answer is not None:
        return replace(bounds, read_s=read_s)
    # The first request is small: its whole answer has to arrive in that time.
    return replace(bounds, connect_s=min(bounds.connect_s, most_s), read_s=read_s, total_s=min(bounds.total_s, most_s))
