"""The leader lock: one of several `serve` on a schema starts jobs; the others stand by until it is gone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NoReturn

from worker.errors import MirrorError, RunLocked
from worker.jobs.run.warehouse import warehouse_dsn
from worker.load.postgres.database import Warehouse
from worker.load.postgres.lock import HeldLock
from worker.telemetry import get_logger, log_error, where

if TYPE_CHECKING:
    from worker.settings import Settings

LOOK_EVERY_S = 10.0


class Leader:
    """Tells whether this `serve` leads, and logs each change. `leading` is set while it leads."""

    def __init__(self, settings: Settings) -> None:
        self.leading = asyncio.Event()
        self._settings = settings
        self._lock: HeldLock | None = None
        self._said = ""
        self._turn = asyncio.Lock()

    async def leads(self) -> bool:
        """Try to hold the leader lock, and tell whether we do. Raises MirrorError if the warehouse cannot be asked."""
        async with self._turn:
            lock = self._lock = self._lock or await self._make_lock()
            try:
                await lock.ensure()
            except MirrorError as error:
                self.leading.clear()
                self._lock = None  # made anew: the secret in the DSN may have changed since
                if not isinstance(error, RunLocked):
                    raise
                self._say("another serve leads, standing by until it is gone", holder=lock.holder)
                return False
            self._say("this serve leads")
            self.leading.set()
            return True

    async def keep(self) -> NoReturn:
        """Try every `LOOK_EVERY_S`, so that a lock that was lost or became free is soon held."""
        while True:
            try:
                await self.leads()
            except MirrorError as error:
                self._say_failure(error)
            except Exception as error:  # noqa: BLE001 - the service must outlive any failure; where it happened is logged
                self._say("the leader lock cannot be had", where=where(error))
            await asyncio.sleep(LOOK_EVERY_S)

    async def release(self) -> None:
        """Release the lock."""
        if self._lock is not None:
            await self._lock.release()
            self._lock = None

    async def _make_lock(self) -> HeldLock:
        dsn = await warehouse_dsn(self._settings)
        # Not connected: the lock has a connection of its own.
        return HeldLock(Warehouse(dsn, self._settings.schema, self._settings.patience, pool_size=1), "serve", "leader")

    def _say_failure(self, error: MirrorError) -> None:
        told = error.told()
        if told != self._said:
            log_error("the leader lock cannot be had", error, level="warning")
            self._said = told

    def _say(self, what: str, **fields: object) -> None:
        if what != self._said:
            get_logger().info(what, **fields)
            self._said = what
