"""The run lock: a session-level advisory lock on a connection of its own, so that one coordinator works at a time."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import asynccontextmanager
from hashlib import blake2b
from typing import TYPE_CHECKING

from worker.errors import RunLocked
from worker.load.database import close_quietly, is_alive
from worker.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from worker.load.database import Connection, Warehouse


ASK_EVERY_S = 5.0


def lock_key(schema: str, purpose: str) -> int:
    """Return the signed 64-bit key of an advisory lock: the same for every worker on this schema of this database."""
    digest = blake2b(f"canvas-message-mirror/{schema}/{purpose}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


class RunLock:
    """The lock while it is held. `ensure` notices when its connection was lost, and takes it again."""

    def __init__(self, warehouse: Warehouse, job: str) -> None:
        self._warehouse = warehouse
        self._name = f"message-mirror {job} {socket.gethostname()}:{os.getpid()}"[:63]
        self._key = lock_key(warehouse.schema, "run")
        self._connection: asyncpg.Connection | None = None
        self._seen_alive_at = 0.0
        self._was_held = False
        self._was_asked_for = False
        self._turn = asyncio.Lock()

    async def ensure(self) -> bool:
        """Hold the lock, or raise RunLocked saying who does, or WarehouseAway. Cheap: asks the server now and then.

        Return whether it had been lost, so that another process may have held it meanwhile. A host that died leaves the
        lock to the server's keepalives; a worker cut off from the server finds out here, and what it landed meanwhile
        was fenced by its leases.
        """
        async with self._turn:
            now = asyncio.get_running_loop().time()
            stands = self._connection is not None and not self._connection.is_closed()
            if stands and now - self._seen_alive_at < ASK_EVERY_S:
                return False
            if self._connection is not None and await is_alive(self._connection):
                self._seen_alive_at = now
                return False
            if self._connection is not None:
                get_logger().warning("the run lock's connection was lost, taking the lock again")
                self._connection.terminate()
                self._connection = None
            self._connection, _ = await self._warehouse.single(self._name, self._take)
            self._seen_alive_at = now
            was_lost, self._was_held = self._was_held, True
            return was_lost

    async def _take(self, connection: Connection) -> None:
        may_have_it, self._was_asked_for = self._was_asked_for, True
        if await connection.fetchval("SELECT pg_try_advisory_lock($1)", self._key):
            return
        holder = await connection.fetchrow(self._warehouse.sql("ledger/lock_holder"), self._key)
        if may_have_it and holder and holder["application_name"] == self._name:
            # Which is tried again until MIRROR_PATIENCE ends.
            raise TimeoutError("the server has not noticed yet that our own connection is gone")
        raise _locked(holder, was_held=self._was_held)

    async def release(self) -> None:
        """Let go; closing the connection is what releases the lock."""
        if self._connection is not None:
            await close_quietly(self._connection)
            self._connection = None


def _locked(holder: asyncpg.Record | None, *, was_held: bool) -> RunLocked:
    name = (holder and holder["application_name"]) or "another session"
    since = f" since {holder['backend_start']:%Y-%m-%d %H:%M:%S} UTC" if holder and holder["backend_start"] else ""
    kept = "What had been landed is kept, and nothing was landed since."
    return RunLocked(
        ("This run was cut off from the warehouse and lost its lock. " if was_held else "")
        + f"Another run holds the lock: {name}{since}.",
        safe=kept if was_held else "Nothing was read or written.",
        next="Wait for it to end (`message-mirror status` shows it), then the same command again.",
    )


@asynccontextmanager
async def run_lock(warehouse: Warehouse, job: str) -> AsyncIterator[RunLock]:
    """Hold the run lock for a job. Raises RunLocked if another run has it."""
    lock = RunLock(warehouse, job)
    await lock.ensure()
    try:
        yield lock
    finally:
        await lock.release()
