"""Asks for several pages concurrently, before it is known that they follow each other."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from types import TracebackType

    from worker.records import Page


class Ahead:
    """Gets pages by their URLs; as long as these come in the order of `urls`, the next ones are already under way.

    At most `most` pages are under way or wait to be taken, so that memory stays bounded. Nothing is asked for before
    the first page is. Once another URL than the next of `urls` is asked for, what was asked for ahead is dropped.
    """

    def __init__(self, get: Callable[[str], Awaitable[Page]], urls: Sequence[str], most: int) -> None:
        self._get_one = get
        self._waiting = deque(urls)
        self._under_way: deque[tuple[str, asyncio.Future[Page]]] = deque()
        self._most = most

    async def get(self, url: str) -> Page:
        """Return the page at `url`. Raises what getting it raises."""
        expected = self._under_way[0][0] if self._under_way else next(iter(self._waiting), None)
        if url != expected:
            await self._drop()
            return await self._get_one(url)
        while self._waiting and len(self._under_way) < self._most:
            ahead = self._waiting.popleft()
            self._under_way.append((ahead, asyncio.ensure_future(self._get_one(ahead))))
        _, task = self._under_way.popleft()
        return await task

    async def _drop(self) -> None:
        tasks = [task for _, task in self._under_way]
        self._waiting.clear()
        self._under_way.clear()
        for task in tasks:
            task.cancel()
        # A failed page is kept, too: the page before it tells whether it matters.
        await asyncio.gather(*tasks, return_exceptions=True)

    async def __aenter__(self) -> Self:
        """Return this object, which asks for nothing yet."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drop what was asked for and not taken."""
        await self._drop()
