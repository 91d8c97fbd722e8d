"""The paging client: searches of the FHIR API, page by page (FHIR R4 §3.1.1.5; Canvas "Pagination").

Clients must follow the `next` links and build no offsets. Bodies are judged by parsing, never by
Content-Type.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING
from uuid import UUID

from worker.errors import PageFailed
from worker.extract import answers
from worker.extract.ahead import Ahead
from worker.extract.auth import TokenSource
from worker.extract.bundle import decode_page
from worker.extract.connection import Clock, Connection
from worker.extract.exchange import Answer, Bounds, Request
from worker.extract.links import first_url, mismatch, next_url
from worker.extract.patience import Failure, Patience
from worker.extract.server import Server
from worker.extract.transport import proxy_of
from worker.settings import SOURCE_FIRST_PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Sequence
    from datetime import timedelta

    from worker.records import Page
    from worker.settings import Settings

PAGES_MAX = 1000
"""Pages that any walk may have; a longer one as many as it has shown entries, since a page may shrink to one, and as
`total` promises, since a source that shows the same for ever shows entries without end."""

_PROBE = [("_id", str(UUID(int=0)))]


class Source:
    """The FHIR API of one instance. A request that waits to be repeated keeps its place among `MIRROR_CONCURRENCY`."""

    def __init__(
        self, base_url: str, connection: Connection, server: Server, tokens: TokenSource, concurrency: int
    ) -> None:
        self._base_url = base_url
        self._connection = connection
        self._server = server
        self._tokens = tokens
        self._concurrency = concurrency
        self._slots = asyncio.Semaphore(concurrency)
        self._events = count(1)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        settings: Settings,
        *,
        clock: Clock | None = None,
        bounds: Bounds | None = None,
        first_patience: timedelta = SOURCE_FIRST_PATIENCE,
    ) -> AsyncIterator[Source]:
        """Open the source that `settings` name, and close it at the end. Nothing is asked yet.

        `first_patience` is how long it, and the token endpoint, may stay away before a first answer.

        Raises SettingsError if no source is set, or its CA file or proxy cannot be used.
        """
        base_url = settings.need_source()
        first_s, later_s = first_patience.total_seconds(), settings.patience.total_seconds()
        server = Server(
            "The source",
            "CANVAS_FHIR_URL",
            "the FHIR API",
            Patience(first_s, later_s),
            proxy_of(base_url),
            first_url(base_url, "Communication", _PROBE, 1),
        )
        auth_server = Server(
            "The token endpoint",
            "CANVAS_AUTH_URL, or what is derived from CANVAS_FHIR_URL",
            "a token endpoint",
            Patience(first_s, later_s, blames_requests=False),
            proxy_of(settings.auth_url) if settings.auth_url else None,
        )
        connection = await Connection.open(settings, clock or Clock(), bounds or Bounds())
        try:
            tokens = TokenSource(settings, connection, auth_server)
            yield cls(base_url, connection, server, tokens, settings.concurrency)
        finally:
            await connection.close()

    @property
    def requests(self) -> int:
        """HTTP requests so far, repeated ones and those for tokens included."""
        return self._connection.requests

    @property
    def retries(self) -> int:
        """Waits before a repeated request so far."""
        return self._connection.retries

    async def first_page(self, resource: str, parameters: Sequence[tuple[str, str]], *, count: int = 100) -> Page:
        """Search `resource` and return the first page, asking for `count` entries on it.

        Raises PageFailed if this page cannot be had or read, AccessRefused if the source lets nobody in,
        SourceAway if it stays away longer than the patience.
        """
        return await self._get(first_url(self._base_url, resource, parameters, count))

    def following(self, page: Page) -> str | None:
        """Return the absolute URL that the `next` link of `page` names, None if it has none.

        Raises PageFailed `foreign_next` or `bad_link`, as `links.next_url` does.
        """
        return None if page.next_url is None else next_url(self._base_url, page.url, page.next_url)

    def mismatch(self, page: Page) -> str:
        """Return what to do about a `next` link of `page` that does not lead on; empty if it has none."""
        return "" if page.next_url is None else mismatch(self._base_url, page.next_url)

    async def walk(
        self,
        resource: str,
        parameters: Sequence[tuple[str, str]],
        *,
        first: Page | None = None,
        count: int = 100,
        pages_max: int | None = None,
    ) -> AsyncGenerator[Page, None]:
        """Yield all pages of a search, in order. `first` is its first page, if that was read already.

        While the caller works on one page the next is being fetched, so at most two pages are held.
        Besides what `first_page` raises: PageFailed `next_loops` if a link leads to a page of this walk, or to the
        very entries that were just shown (an offset that is ignored), and
        `too_many_pages` after `pages_max` pages, by default max(1000, min(entries so far, total) + 10).
        """
        if first is None:
            first = await self.first_page(resource, parameters, count=count)
        async with aclosing(self._follow(first, self._get, pages_max, at_once=True)) as pages:
            async for page in pages:
                yield page

    async def walk_again(self, urls: Sequence[str]) -> AsyncGenerator[Page, None]:
        """Yield all pages of a search, in order, whose pages had these `urls` when it was walked before.

        The first page is asked for alone. If its `next` link names the second of `urls`, all others but the last are
        asked for side by side, as many as `MIRROR_CONCURRENCY` allows. Each is a page of this walk only if the page
        before it, as it is now, names exactly its URL. From where one does not, the links are followed one by one; so
        they are at the end, where the last page is asked for after all others have arrived, and what follows it now.
        Raises as `walk` does.
        """
        first = await self._get(urls[0])
        async with (
            Ahead(self._get, urls[1:-1], self._concurrency) as ahead,
            aclosing(self._follow(first, ahead.get, None, at_once=False)) as pages,
        ):
            async for page in pages:
                yield page

    async def pause(self, seconds: float) -> None:
        """Wait so long, by the clock that requests go by. Without effect for 0."""
        if seconds:
            await self._connection.clock.sleep(seconds)

    async def _follow(
        self, page: Page, get: Callable[[str], Awaitable[Page]], pages_max: int | None, *, at_once: bool
    ) -> AsyncGenerator[Page, None]:
        """Yield a page and those that follow it. With `at_once`, fetch the next while the caller works on one."""
        seen: set[str] = set()
        entries = 0
        while True:
            seen.add(page.url)
            entries += len(page.entries)
            limit = pages_max or max(PAGES_MAX, min(entries, page.total or 0) + 10)
            if page.next_url is None or not at_once:
                yield page
                if page.next_url is None:
                    return
                page = await self._next(page, get, seen, limit)
            else:
                coming = asyncio.ensure_future(self._next(page, get, seen, limit))
                try:
                    yield page
                    page = await coming
                finally:
                    coming.cancel()
                    await asyncio.gather(coming, return_exceptions=True)

    async def _next(self, page: Page, get: Callable[[str], Awaitable[Page]], seen: Collection[str], limit: int) -> Page:
        """Return the page that follows `page`, whose URL is in `seen` already. Raises PageFailed as `walk` does."""
        if len(seen) >= limit:
            raise PageFailed("too_many_pages", f"One search still goes on after {len(seen)} pages.")
        url = next_url(self._base_url, page.url, page.next_url or "")
        if url in seen:
            raise PageFailed("next_loops", f"One search leads back to a page it had, after {len(seen)} pages.")
        following = await get(url)
        if page.entries and following.entries == page.entries:
            raise PageFailed("next_loops", f"One search shows the same page again, after {len(seen)} pages.")
        return following

    async def _get(self, url: str) -> Page:
        async with self._slots:
            requested = next(self._events)
            page = await self._ask(url)
            return replace(page, requested=requested, arrived=next(self._events))

    async def _ask(self, url: str) -> Page:
        return await self._connection.ask(self._server, Request(url), _judge, self._tokens)


def _judge(answer: Answer) -> Page | Failure:
    """Return the page, or a Failure for what may be better the next time. Raises PageFailed for a refusal."""
    status, reason = answer.status_code, None
    if status == 200:
        try:
            return decode_page(answer.body, answer.request.url)
        except PageFailed as error:
            reason = error.reason
    said = answers.said_in_fhir(answer.body)
    means = answers.judge(status, said)
    if means is answers.Means.FINAL:
        raise PageFailed(f"http_{status}", f"The source refuses a search ({status}).", said.codes)
    return Failure(reason or answers.reason(status, means, said), status, means=means, is_web_page=said.is_web_page)
