"""A session with the warehouse: how its connection notices a lost server, and what the session is set to.

The settings are one list, `session/set_up` in `sql/queries`. They are applied by a statement, not while connecting,
because a pooler refuses start-up parameters that it does not know.
"""

from __future__ import annotations

import socket
from string import Template
from typing import TYPE_CHECKING, Any

import asyncpg

from worker.load.postgres.statements import statement

if TYPE_CHECKING:
    import asyncio

COMMAND_TIMEOUT_S = 300.0
CONNECT_TIMEOUT_S = 10.0
# The settings ask the same of the server's end of a connection. Without these options, where the system has them, a
# statement whose connection was cut would wait for an answer until COMMAND_TIMEOUT_S.
SOCKET_OPTIONS = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 60_000}


class Session(asyncpg.Connection):  # type: ignore[misc]  # asyncpg ships no types
    """A connection that notices when its other end is gone, and knows its process at the server.

    `backend_pid` is what the server itself says. Behind a pooler the pid of the protocol is invented.
    """

    def __init__(self, protocol: Any, transport: asyncio.Transport, *others: Any) -> None:
        super().__init__(protocol, transport, *others)
        self.backend_pid = 0
        end = transport.get_extra_info("socket")
        if end is not None and end.family in {socket.AF_INET, socket.AF_INET6}:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in SOCKET_OPTIONS.items():
                if hasattr(socket, name):
                    end.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def set_up(connection: asyncpg.Connection, application_name: str) -> None:
    """Apply our settings to a new session."""
    settings = Template(statement("session/set_up", "canvas"))
    await connection.execute(
        settings.substitute(application_name=application_name.replace("'", "")), timeout=CONNECT_TIMEOUT_S
    )


async def read_backend_pid(connection: asyncpg.Connection) -> int:
    """Return the process at the server that serves this connection at present."""
    pid: int = await connection.fetchval("SELECT pg_backend_pid()", timeout=CONNECT_TIMEOUT_S)
    return pid
