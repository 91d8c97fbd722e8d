"""Whether a pooler stands before the warehouse, and in which mode.

In session mode a connection keeps its session for as long as it lives, so it is as good as the server itself. In
transaction (or statement) mode another transaction may get another session: advisory locks of sessions, temporary
tables and prepared statements are then anybody's.
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
"""What PgBouncer says of a transaction in statement mode."""


def is_behind_pooler(session: Session) -> bool:
    """Tell whether the process at the server is another one than the protocol says: a pooler invents that."""
    return bool(session.backend_pid != session.get_server_pid())


async def refuse_transaction_pooler(session: Session, open_another: Callable[[], Awaitable[Session]]) -> None:
    """Raise WarehouseRefused if a pooler gives the transactions of one connection different sessions.

    The connection asks for its process, another holds a transaction open, and the first asks again: a pooler in
    transaction mode has given the other one its session, most often, and now has to give it another.
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
        # Longer than this it waits for the one session there is, which the other has. It is answered once that lets go.
        answered, _ = await asyncio.wait({asking}, timeout=CONNECT_TIMEOUT_S)
    after = await asking
    return bool(answered) and before == {after} and held != after


async def _ask(session: Session) -> int:
    async with session.transaction():
        return await read_backend_pid(session)
