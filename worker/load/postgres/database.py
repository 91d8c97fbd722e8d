"""The pool of connections to the warehouse, and the one place where its failures are retried.

A unit of work is a function of a connection, run in one transaction. It may be run again, because after a lost
connection nobody knows whether the commit arrived. So each unit is written to be repeatable.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeAlias, TypeVar

import asyncpg

from worker.errors import SettingsError, WarehouseAway
from worker.load.postgres.database_errors import AWAY, Away, connected, mapped
from worker.load.postgres.dsn import can_do_without_tls, connect_arguments, place_of, what_to_check
from worker.load.postgres.pooler import is_behind_pooler, refuse_transaction_pooler
from worker.load.postgres.sessions import COMMAND_TIMEOUT_S, CONNECT_TIMEOUT_S, Session, read_backend_pid, set_up
from worker.load.postgres.sqlstates import MORE_CONNECTIONS
from worker.load.postgres.statements import statement
from worker.load.postgres.waiting import Waits
from worker.settings import FIRST_PATIENCE
from worker.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from datetime import timedelta

T = TypeVar("T")
P = ParamSpec("P")
Connection: TypeAlias = asyncpg.Connection

Dsn: TypeAlias = "str | Callable[[], str]"
"""`WAREHOUSE_DSN`, or a function that reads it for each connection, so that a rotated secret needs no restart."""

SAID_EVERY_S = 10.0
"""How often it is logged that the warehouse does not answer."""


def read_dsn(dsn: Dsn) -> str:
    """Return what `WAREHOUSE_DSN` says now. Raises SettingsError if its file cannot be read."""
    return dsn() if callable(dsn) else dsn


class Warehouse:
    """A warehouse schema to work in. Make one with `open_warehouse`."""

    def __init__(self, dsn: Dsn, schema: str, patience: timedelta, pool_size: int) -> None:
        at_first = read_dsn(dsn)
        self.schema = schema
        self.place = place_of(at_first)
        self.is_behind_pooler = False
        self._dsn = dsn
        self._connect_arguments = connect_arguments(at_first)
        self._patience_s = patience.total_seconds()
        self._can_do_without_tls = can_do_without_tls(at_first)
        self._what_to_check = what_to_check(at_first)
        self._pool_size = pool_size
        self._waits = Waits(partial(self._open, "message-mirror watch"))
        self._pool: asyncpg.Pool | None = None
        self._silent_since: float | None = None
        self._said_at: float | None = None

    def sql(self, name: str) -> str:
        """Return the named query for this schema."""
        return statement(name, self.schema)

    async def connect(self) -> None:
        """Connect for the first time. Raises WarehouseAway after `FIRST_PATIENCE` at most, WarehouseRefused at once.

        A pooler whose connections do not keep their sessions is refused, too.
        """

        async def connect() -> None:
            # min_size 0: the pool must not reconnect by itself, beside the units that wait for the server.
            pool = await asyncpg.create_pool(
                connect=lambda *_, **_of_the_pool: self._open("message-mirror"),
                reset=_keep_settings,
                min_size=0,
                max_size=self._pool_size,
            )
            try:
                async with pool.acquire() as connection:
                    self.is_behind_pooler = is_behind_pooler(connection)
                    await refuse_transaction_pooler(connection, partial(self._open, "message-mirror"))
                    self._pool = pool
            except BaseException:
                pool.terminate()
                raise

        await self._retried(min(FIRST_PATIENCE.total_seconds(), self._patience_s), connect)

    async def close(self) -> None:
        """Close the connections, without waiting long for a server that is away."""
        if self._pool is not None:
            try:
                await asyncio.wait_for(self._pool.close(), timeout=5)
            except (TimeoutError, *AWAY):
                self._pool.terminate()

    async def work(
        self, unit: Callable[Concatenate[Connection, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `unit(connection, …)` in one transaction and return its result.

        Run again after a lost connection (until `MIRROR_PATIENCE`) or a deadlock. Raises WarehouseAway or
        WarehouseRefused, and what `unit` raises of its own.
        """

        async def once() -> T:
            pool = self._pool
            if pool is None:
                raise Away("not connected")
            try:
                async with pool.acquire(timeout=CONNECT_TIMEOUT_S * 6) as connection:
                    with self._waits.watched(connection.backend_pid):
                        async with connection.transaction():
                            return await unit(connection, *args, **kwargs)
            except (Away, asyncpg.ReadOnlySQLTransactionError):
                # The server's name may lead to another server now, so no session with this one is of use.
                await pool.expire_connections()
                raise

        return await self._retried(self._patience_s, once)

    async def single(self, application_name: str, prepare: Callable[[Session], Awaitable[None]]) -> Session:
        """Return a connection outside the pool, as locks need it, after calling `prepare` with it.

        Raises WarehouseAway or WarehouseRefused, and what `prepare` raises; then the connection is closed.
        """

        async def connect() -> Session:
            connection = await self._open(application_name)
            try:
                await prepare(connection)
            except BaseException:
                connection.terminate()
                raise
            return connection

        return await self._retried(self._patience_s, connect)

    async def _open(self, application_name: str) -> Session:
        """Connect as WAREHOUSE_DSN says now. While its file is being written, what it said before counts."""
        with contextlib.suppress(SettingsError):
            self._connect_arguments = connect_arguments(read_dsn(self._dsn))
        session: Session = await connected(
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=COMMAND_TIMEOUT_S,
            connection_class=Session,
            **self._connect_arguments,
        )
        try:
            await set_up(session, application_name)
            session.backend_pid = await read_backend_pid(session)
        except TimeoutError:
            session.terminate()
            raise Away("it let us in, and gave us no session", next=MORE_CONNECTIONS) from None
        except BaseException:
            session.terminate()
            raise
        return session

    async def _retried(self, patience_s: float, attempt: Callable[[], Awaitable[T]]) -> T:
        """Repeat `attempt` until it succeeds, or for `patience_s` of silence. A final failure is tried again once."""
        began, silent_since, asked_again, number = time.monotonic(), None, False, 0
        while True:
            number += 1
            try:
                with mapped(can_do_without_tls=self._can_do_without_tls):
                    result = await attempt()
            except Away as away:
                now = time.monotonic()
                silent_since = _silent_since(began, now) if silent_since is None else silent_since
                is_silent_for_long = now - silent_since >= patience_s
                if away.final is not None and (asked_again or is_silent_for_long):
                    raise away.final from None
                if is_silent_for_long:
                    raise self._given_up(away, patience_s) from None
                wait_s = random.uniform(0, min(10.0, 0.2 * 2 ** min(number - 1, 6)))  # noqa: S311 - no secret
                if away.final is None:
                    self._note_silence(away, number, wait_s)
                asked_again = asked_again or away.final is not None
            else:
                self._note_answer()
                return result
            await asyncio.sleep(wait_s)

    def _given_up(self, away: Away, patience_s: float) -> WarehouseAway:
        safe = "What had been committed is kept."
        if self._waits.reason:
            return WarehouseAway(
                f"The warehouse did nothing for {patience_s:.0f} s: {self._waits.reason}.",
                safe=safe,
                next="End what holds the lock (pg_terminate_backend), or bring the standby back, or take it out of"
                " synchronous_standby_names. Then run the same command again.",
            )
        what = f"The warehouse cannot be used ({away})" if away.answers else f"The warehouse cannot be reached ({away})"
        return WarehouseAway(
            f"{what}, for {patience_s:.0f} s now.",
            safe=safe,
            next=away.next or self._what_to_check,
        )

    def _note_silence(self, away: Away, attempt: int, wait_s: float) -> None:
        now = time.monotonic()
        self._silent_since = now if self._silent_since is None else self._silent_since
        # All units of work meet the same outage: only one of them logs it.
        if self._said_at is None or now - self._said_at >= SAID_EVERY_S:
            self._said_at = now
            get_logger().warning(
                "the warehouse did not answer, will try again",
                attempt=attempt,
                wait_seconds=round(wait_s, 1),
                reason=self._waits.reason or str(away),
            )

    def _note_answer(self) -> None:
        if self._silent_since is not None:
            seconds = time.monotonic() - self._silent_since
            # Not _said_at: for a server that answers every other time, that would log each failure.
            self._silent_since = None
            if seconds >= SAID_EVERY_S:
                get_logger().info("the warehouse answers again", seconds=round(seconds))


async def is_alive(connection: asyncpg.Connection) -> bool:
    """Tell whether the server at the other end still answers, within `CONNECT_TIMEOUT_S`."""
    try:
        await connection.fetchval("SELECT 1", timeout=CONNECT_TIMEOUT_S)
    except (TimeoutError, asyncpg.PostgresError, *AWAY):
        return False
    return True


async def close_quietly(connection: asyncpg.Connection) -> None:
    """Close a connection whose server may be gone."""
    try:
        await connection.close(timeout=5)
    except (TimeoutError, asyncpg.PostgresError, *AWAY):
        connection.terminate()


def _silent_since(began: float, now: float) -> float:
    """Return since when the server is silent, if a first attempt that began at `began` fails now.

    A statement may hang on one connection as long as the patience while the server answers on all others. So no more of
    the attempt is counted than connecting may take.
    """
    return max(began, now - CONNECT_TIMEOUT_S)


async def _keep_settings(_connection: Connection) -> None:
    """Release a connection as it is. By default the pool would send RESET ALL, and undo what `set_up` has set."""


@asynccontextmanager
async def open_warehouse(dsn: Dsn, schema: str, patience: timedelta, *, pool_size: int = 4) -> AsyncIterator[Warehouse]:
    """Connect to the warehouse, and close the connections at the end. Raises as `Warehouse.connect`."""
    warehouse = Warehouse(dsn, schema, patience, pool_size)
    try:
        await warehouse.connect()
        yield warehouse
    finally:
        await warehouse.close()
