"""Finds what a unit of work waits for at the server: somebody's lock, or a synchronous standby.

A server says nothing to a session that waits, so it is asked on another connection.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

from worker.errors import MirrorError
from worker.load.postgres.database_errors import AWAY
from worker.load.postgres.statements import statement
from worker.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from worker.load.postgres.sessions import Session

ASKED_AFTER_S = 8.0
"""How long a unit of work may take before the server is asked what it waits for, and the interval of asking again.

It is shorter than a migration waits for a lock.
"""
SAID_EVERY_S = 60.0


class Waits:
    """Watches units of work. `reason` is what one was last found to wait for, empty when one has ended since."""

    def __init__(self, open_another: Callable[[], Awaitable[Session]]) -> None:
        self.reason = ""
        self._open_another = open_another
        self._said_at: float | None = None
        self._asking = asyncio.Lock()

    @contextmanager
    def watched(self, backend_pid: int) -> Iterator[None]:
        """Watch the session with this process while the block lasts."""
        watcher = asyncio.create_task(self._watch(backend_pid, time.monotonic()))
        try:
            yield
            self.reason = ""
        finally:
            watcher.cancel()

    async def _watch(self, backend_pid: int, since: float) -> None:
        while True:
            await asyncio.sleep(ASKED_AFTER_S)
            try:
                # One connection for this at a time: many units may wait for the same.
                async with self._asking:
                    waits = await self._ask(backend_pid)
            except (MirrorError, asyncpg.PostgresError, *AWAY):
                continue  # the unit of work itself will report that the server is away
            if waits is not None:
                self._tell(waits, time.monotonic() - since)

    async def _ask(self, backend_pid: int) -> dict[str, Any] | None:
        session = await self._open_another()
        try:
            row = await session.fetchrow(statement("session/waits", "canvas"), backend_pid)
            return dict(row) if row is not None else None
        finally:
            session.terminate()

    def _tell(self, waits: dict[str, Any], seconds: float) -> None:
        self.reason = described(waits)
        # All units of work may wait for the same lock: only one logs it.
        if self._said_at is None or time.monotonic() - self._said_at >= SAID_EVERY_S:
            self._said_at = time.monotonic()
            get_logger().warning("the warehouse lets us wait", reason=self.reason, seconds=round(seconds))


def described(waits: dict[str, Any]) -> str:
    """Return what a row of `session/waits` means, with names of sessions but no values. Pure."""
    if not waits["for_lock"]:
        return "a commit waits for a synchronous standby, which does not answer"
    since = f" since {waits['holder_since']:%Y-%m-%d %H:%M:%S} UTC" if waits["holder_since"] else ""
    if waits["holder_pid"] is None:
        return "it waits for a lock"
    state = f", {waits['holder_state']}" if waits["holder_state"] else ""
    return f"it waits for a lock that pid {waits['holder_pid']} ({waits['holder']}{state}) holds{since}"
