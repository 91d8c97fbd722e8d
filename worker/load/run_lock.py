"""The run lock: one coordinator works at a time."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from worker.errors import WarehouseRefused
from worker.load.ledger import refuse_closed
from worker.load.postgres.lock import HeldLock, lock_key
from worker.load.postgres.sqlstates import SESSION_MODE
from worker.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from worker.load.postgres.database import Connection, Warehouse

T = TypeVar("T")
P = ParamSpec("P")

TAKEN_AGAIN_MAX = 8
"""How often the lock is taken again for one unit of work, with growing pauses: 10 s in all."""
PAUSE_S = 0.3


class _NotHeld(Exception):
    """The session that held the lock is gone."""


class RunLock(HeldLock):
    """The run lock. Only `work` does what a coordinator alone may do, so a coordinator that lost the lock cannot do it.

    `run_id` is the run for which the lock is held, once there is one.
    """

    def __init__(self, warehouse: Warehouse, job: str) -> None:
        super().__init__(warehouse, job, "run")
        self.run_id: int | None = None
        self._turn_key = lock_key(warehouse.schema, "coordinator")

    async def work(
        self, unit: Callable[Concatenate[Connection, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `unit` as `Warehouse.work` does, in a transaction that first checks whether the lock is still held.

        Raises RunLocked if another run has the lock, or had it meanwhile and closed this run, and what
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
                # Check at once, not only every `ASK_EVERY_S`: take the lock again, or find that another run has it.
                self._release()
                get_logger().warning("the run lock is not held, taking it again", attempt=attempt)
                await asyncio.sleep(PAUSE_S * attempt)
        raise WarehouseRefused(
            f"The run lock was taken {TAKEN_AGAIN_MAX} times, and the server said each time that nobody holds it.",
            safe="What had been landed is kept, and nothing was landed since.",
            next=f"Something between here and the server ends sessions, or shares them. {SESSION_MODE}",
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
