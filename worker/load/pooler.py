"""Whether a pooler stands before the warehouse, and in which mode.

In session mode a connection keeps its session for as long as it lives, so it is as good as the server itself. In
transaction (or statement) mode another transaction may get another session: advisory locks of sessions, temporary
tables and prepared statements are then anybody's.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from worker.errors import WarehouseRefused
from worker.load.sessions import CONNECT_TIMEOUT_S, read_backend_pid
from worker.load.sqlstates import SESSION_MODE, TRANSACTION_POOLER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from worker.load.sessions import Session


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
        before = {session.backend_pid, await _ask(session)}
        async with other.transaction():
            held = await read_backend_pid(other)
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    after = await _ask(session)
            except TimeoutError:
                after = held  # it waits for the session that the other one has
                session.terminate()
    finally:
        await other.close(timeout=CONNECT_TIMEOUT_S)
    if before != {after} or held == after:
        raise WarehouseRefused(TRANSACTION_POOLER + ".", safe="Nothing was read or written.", next=SESSION_MODE)


async def _ask(session: Session) -> int:
    async with session.transaction():
        return await read_backend_pid(session)
