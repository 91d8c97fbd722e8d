"""Session-level advisory locks, each on a connection of its own. A lock is taken again when its connection is lost."""

from __future__ import annotations

import asyncio
import os
import socket
from hashlib import blake2b
from typing import TYPE_CHECKING

from worker.errors import RunLocked
from worker.load.postgres.database import close_quietly, is_alive
from worker.telemetry import get_logger

if TYPE_CHECKING:
    import asyncpg

    from worker.load.postgres.database import Connection, Warehouse
    from worker.load.postgres.sessions import Session

ASK_EVERY_S = 5.0


def lock_key(schema: str, purpose: str) -> int:
    """Return the signed 64-bit key of an advisory lock: the same for every worker on this schema of this database."""
    digest = blake2b(f"canvas-message-mirror/{schema}/{purpose}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


class HeldLock:
    """A lock that is to be held. `ensure` notices when its connection was lost, and takes it again.

    If the lock could not be taken, `holder` says who has it, and since when. `was_ever_lost` is whether it was taken
    again.
    """

    def __init__(self, warehouse: Warehouse, job: str, purpose: str) -> None:
        self.holder = ""
        self._warehouse = warehouse
        self._purpose = purpose
        self._name = f"message-mirror {job} {socket.gethostname()}:{os.getpid()}"[:63]
        self._key = lock_key(warehouse.schema, purpose)
        self._connection: Session | None = None
        self._seen_alive_at = 0.0
        self._was_held = False
        self.was_ever_lost = False
        self._was_lost = False
        self._was_asked_for = False
        self._turn = asyncio.Lock()

    async def ensure(self) -> bool:
        """Hold the lock, or raise WarehouseAway, or RunLocked, which says who holds it. Cheap: seldom asks the server.

        Return whether the lock was lost since the last call that said so; another process may have held it meanwhile.
        If a host crashes, the server's keepalives release its lock. A worker that was cut off from the server finds out
        here; its leases fenced what it landed meanwhile.
        """
        await self._take_hold()
        was_lost, self._was_lost = self._was_lost, False
        return was_lost

    async def _take_hold(self) -> None:
        async with self._turn:
            now = asyncio.get_running_loop().time()
            stands = self._connection is not None and not self._connection.is_closed()
            if stands and now - self._seen_alive_at < ASK_EVERY_S:
                return
            if self._connection is not None and await is_alive(self._connection):
                self._seen_alive_at = now
                return
            if self._connection is not None:
                get_logger().warning(f"the {self._purpose} lock's connection was lost, taking the lock again")
                self._release()
            self._connection = await self._warehouse.single(self._name, self._take)
            self._seen_alive_at = now
            self._was_lost, self._was_held = self._was_held, True
            self.was_ever_lost |= self._was_lost

    async def _take(self, connection: Connection) -> None:
        may_have_it, self._was_asked_for = self._was_asked_for, True
        if await connection.fetchval("SELECT pg_try_advisory_lock($1)", self._key):
            return
        holder = await connection.fetchrow(self._warehouse.sql("session/lock_holder"), self._key)
        if may_have_it and holder and holder["application_name"] == self._name:
            # This is tried again until MIRROR_PATIENCE ends.
            raise TimeoutError("the server has not noticed yet that our own connection is gone")
        self.holder = told_holder(holder)
        raise self._locked()

    def _locked(self) -> RunLocked:
        kept = "What had been landed is kept, and nothing was landed since."
        return RunLocked(
            ("This run was cut off from the warehouse and lost its lock. " if self._was_held else "")
            + f"Another run holds the lock: {self.holder}.",
            safe=kept if self._was_held else "Nothing was read or written.",
            next="Wait for it to end (`message-mirror status` shows it), then run the same command again.",
        )

    def _release(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def release(self) -> None:
        """Release the lock, by closing its connection."""
        if self._connection is not None:
            await close_quietly(self._connection)
            self._connection = None


def told_holder(holder: asyncpg.Record | None) -> str:
    """Return who holds a lock, and since when, in words; `holder` is a row of `session/lock_holder`."""
    name = (holder and holder["application_name"]) or "another session"
    since = f" since {holder['backend_start']:%Y-%m-%d %H:%M:%S} UTC" if holder and holder["backend_start"] else ""
    return f"{name}{since}"
