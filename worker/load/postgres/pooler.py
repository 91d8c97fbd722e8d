"""Finds out whether there is a pooler before the warehouse, and in which mode.

In session mode a connection keeps its session, so a pooler is as good as the server itself. In transaction (or
statement) mode the next transaction may get another session. Then advisory locks of sessions, temporary tables and
prepared statements may be anybody's.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg

from worker.errors import WarehouseRefused
from worker.load.postgres.sessions import CONNECT_TIMEOUT_S, read_backend_pid
from worker.load.postgres.sqlstates import SESSION_MODE, TRANSACTION_POOLER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from worker.load.postgres.sessions import Session


_NO_TRANSACTIONS = "statement pooling"
"""PgBouncer's words when it refuses a transaction in statement mode."""


def is_behind_pooler(session: Session) -> bool:
    """Tell whether the process at the server differs from the one in the protocol, which a pooler invents."""
    return bool(session.backend_pid != session.get_server_pid())


async def refuse_transaction_pooler(session: Session, open_another: Callable[[], Awaitable[Session]]) -> None:
    """Raise WarehouseRefused if a pooler gives the transactions of one connection different sessions.

    The connection asks for its process, another connection holds a transaction open, and the first asks again. A pooler
    in transaction mode has usually given its session to the other one, and now has to give it another session.
    """
    if not is_behind_pooler(session):
        return
    other = await open_another()
    try:
        keeps_session = await _keeps_session(session, other)
    except asyncpg.PostgresConnectionError as error:
        if _NO_TRANSACTIONS not in str(error):
            raise
        keeps_session = False
    finally:
        other.terminate()
    if not keeps_session:
        raise WarehouseRefused(TRANSACTION_POOLER + ".", safe="Nothing was read or written.", next=SESSION_MODE)


async def _keeps_session(session: Session, other: Session) -> bool:
    before = {session.backend_pid, await _ask(session)}
    async with other.transaction():
        held = await read_backend_pid(other)
        asking = asyncio.create_task(_ask(session))
        # If it waits longer, the other connection has the only session. It is answered when that one releases it.
        answered, _ = await asyncio.wait({asking}, timeout=CONNECT_TIMEOUT_S)
    after = await asking
    return bool(answered) and before == {after} and held != after


async def _ask(session: Session) -> int:
    async with session.transaction():
        return await read_backend_pid(session)
