"""Session-level advisory locks, each on a connection of its own.

The run lock: one coordinator works at a time. The leader lock: one `serve` starts its jobs.
"""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import asynccontextmanager
from hashlib import blake2b
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from worker.errors import RunLocked, WarehouseRefused
from worker.load.database import close_quietly, is_alive
from worker.load.ledger import refuse_closed
from worker.load.sqlstates import SESSION_MODE
from worker.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    import asyncpg

    from worker.load.database import Connection, Warehouse
    from worker.load.sessions import Session

T = TypeVar("T")
P = ParamSpec("P")

ASK_EVERY_S = 5.0
TAKEN_AGAIN_MAX = 8
"""How often a lock is taken again for one unit of work, with growing pauses: 10 s in all."""
PAUSE_S = 0.3


def lock_key(schema: str, purpose: str) -> int:
    """Return the signed 64-bit key of an advisory lock: the same for every worker on this schema of this database."""
    digest = blake2b(f"canvas-message-mirror/{schema}/{purpose}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


class _NotHeld(Exception):
    """The session that held the lock is gone."""


class HeldLock:
    """A lock while it is held. `ensure` notices when its connection was lost, and takes it again.

    `holder` says who has it, and since when, if it could not be taken. `was_ever_lost` is whether it was taken again.
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
        """Hold the lock, or raise RunLocked saying who does, or WarehouseAway. Cheap: asks the server now and then.

        Return whether it was lost since the last call that said so: another process may have held it meanwhile. A
        host that died leaves the lock to the server's keepalives; a worker cut off from the server finds out here, and
        what it landed meanwhile was fenced by its leases.
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
                self._let_go()
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
            # Which is tried again until MIRROR_PATIENCE ends.
            raise TimeoutError("the server has not noticed yet that our own connection is gone")
        self.holder = told_holder(holder)
        raise self._locked()

    def _locked(self) -> RunLocked:
        kept = "What had been landed is kept, and nothing was landed since."
        return RunLocked(
            ("This run was cut off from the warehouse and lost its lock. " if self._was_held else "")
            + f"Another run holds the lock: {self.holder}.",
            safe=kept if self._was_held else "Nothing was read or written.",
            next="Wait for it to end (`message-mirror status` shows it), then the same command again.",
        )

    def _let_go(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def release(self) -> None:
        """Let go; closing the connection is what releases the lock."""
        if self._connection is not None:
            await close_quietly(self._connection)
            self._connection = None


class RunLock(HeldLock):
    """The run lock. What only a coordinator may do is done by `work`, so that one which lost the lock cannot do it.

    `run_id` is the run that it is held for, once there is one.
    """

    def __init__(self, warehouse: Warehouse, job: str) -> None:
        super().__init__(warehouse, job, "run")
        self.run_id: int | None = None
        self._turn_key = lock_key(warehouse.schema, "coordinator")

    async def work(
        self, unit: Callable[Concatenate[Connection, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `unit` as `Warehouse.work` does, in a transaction that looks first whether the lock is still held.

        Raises RunLocked if another run has it by now, or had it meanwhile and closed this one, and what
        `Warehouse.work` raises.
        """

        async def if_held(connection: Connection) -> T:
            # The units of two coordinators come one after the other: whoever takes the lock while this transaction is
            # under way waits for its end before its own first one.
            await connection.execute("SELECT pg_advisory_xact_lock($1)", self._turn_key)
            process_id = self._connection.backend_pid if self._connection is not None else 0
            if not await connection.fetchval(self._warehouse.sql("session/holds_lock"), self._key, process_id):
                raise _NotHeld
            if self._was_lost and self.run_id is not None:
                await refuse_closed(connection, self._warehouse, self.run_id)
            return await unit(connection, *args, **kwargs)

        for attempt in range(1, TAKEN_AGAIN_MAX + 1):
            await self._take_hold()
            try:
                return await self._warehouse.work(if_held)
            except _NotHeld:
                # Asked anew, rather than within `ASK_EVERY_S`: taken again, or another run has it.
                self._let_go()
                get_logger().warning("the run lock is not held, taking it again", attempt=attempt)
                await asyncio.sleep(PAUSE_S * attempt)
        raise WarehouseRefused(
            f"The run lock was taken {TAKEN_AGAIN_MAX} times, and the server said each time that nobody holds it.",
            safe="What had been landed is kept, and nothing was landed since.",
            next=f"Something between here and the server ends sessions, or shares them. {SESSION_MODE}",
        )


def told_holder(holder: asyncpg.Record | None) -> str:
    """Return who holds a lock, and since when, in words; `holder` is a row of `ledger/lock_holder`."""
    name = (holder and holder["application_name"]) or "another session"
    since = f" since {holder['backend_start']:%Y-%m-%d %H:%M:%S} UTC" if holder and holder["backend_start"] else ""
    return f"{name}{since}"


@asynccontextmanager
async def run_lock(warehouse: Warehouse, job: str) -> AsyncIterator[RunLock]:
    """Hold the run lock for a job. Raises RunLocked if another run has it."""
    lock = RunLock(warehouse, job)
    await lock.ensure()
    try:
        yield lock
    finally:
        await lock.release()
