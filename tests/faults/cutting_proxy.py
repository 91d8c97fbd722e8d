"""A proxy in front of PostgreSQL's Unix socket that ends connections at a frontend message of one's choice.

Messages are told apart as the protocol frames them (PostgreSQL, "Message Formats"): the first of a connection has no
type byte; every other is a type byte and a length that counts itself.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

SOCKET_NAME = ".s.PGSQL.5432"
HEAD_BYTES = 1000
_LENGTH_BYTES = 4


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a connection ends: at the frontend message `at`, counted from 1 over all connections as they come.

    `lost` is the `request` (the server never has the message) or the `reply` (the server carries it out and ends, then
    the client is cut off). `for_good`: every other connection ends too, and none is to be had until `heal`.
    `unnoticed_s`: how much later than the client the server learns of the end; until then its side keeps its locks.
    """

    at: int
    lost: Literal["request", "reply"]
    for_good: bool = False
    unnoticed_s: float = 0


class CuttingProxy:
    """Listens on a socket of its own in `directory`. One cut at most is made.

    `messages` holds what clients sent, without the bulk, over all connections in the order in which it came.
    """

    def __init__(self, server: Path, directory: Path, cut: Cut | None = None) -> None:
        self.messages: list[bytes] = []
        self.cut_made = False
        self.away = False
        self.on_cut: Callable[[], Awaitable[None]] | None = None
        self._server = server
        self._directory = directory
        self._cut = cut
        self._listener: asyncio.Server | None = None
        self._clients: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def __aenter__(self) -> Self:
        """Listen."""
        self._listener = await asyncio.start_unix_server(self._accept, self._directory / SOCKET_NAME)
        return self

    async def __aexit__(self, *_: object) -> None:
        """End every connection and stop listening. A cut that is under way is finished first."""
        assert self._listener is not None
        self._listener.close()
        self._end_all()
        await asyncio.gather(*self._clients)
        await self._listener.wait_closed()
        (self._directory / SOCKET_NAME).unlink(missing_ok=True)

    def heal(self) -> None:
        """Let connections through again."""
        self.away = False

    def _end_all(self) -> None:
        for client in self._clients.values():
            client.transport.abort()

    def _accept(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(from_client, to_client))
        self._clients[task] = to_client
        task.add_done_callback(self._clients.pop)

    async def _serve(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        if self.away:
            to_client.transport.abort()
            return
        from_server, to_server = await asyncio.open_unix_connection(self._server)
        replies = asyncio.create_task(_pour(from_server, to_client))
        try:
            async for message in _frontend_messages(from_client):
                self.messages.append(message[:HEAD_BYTES])
                if self._cut is not None and len(self.messages) == self._cut.at:
                    await _stop(replies)
                    await self._make(self._cut, message, from_server, to_server, to_client)
                    return
                to_server.write(message)
                await to_server.drain()
        except ConnectionError:
            pass  # one of the ends is gone: the other shall learn it
        finally:
            to_server.close()
            await _stop(replies)
            to_client.transport.abort()

    async def _make(
        self,
        cut: Cut,
        message: bytes,
        from_server: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
        to_client: asyncio.StreamWriter,
    ) -> None:
        self.cut_made = True
        self.away = cut.for_good
        if cut.lost == "reply":
            to_server.write(message)
        if cut.unnoticed_s:
            to_client.transport.abort()
            await asyncio.sleep(cut.unnoticed_s)
        with suppress(ConnectionError):
            to_server.write_eof()
            if cut.lost == "reply":
                while await from_server.read(65536):
                    pass
        if cut.for_good:
            self._end_all()
        to_client.transport.abort()
        if self.on_cut is not None:
            await self.on_cut()


async def _frontend_messages(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Yield a client's messages as they come, each whole with its head, until it hangs up."""
    type_bytes = 0
    with suppress(asyncio.IncompleteReadError):
        while True:
            head = await reader.readexactly(type_bytes + _LENGTH_BYTES)
            length = int.from_bytes(head[type_bytes:])
            yield head + await reader.readexactly(length - _LENGTH_BYTES)
            type_bytes = 1


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hand on whatever the server says; its end is the client's end."""
    with suppress(ConnectionError):
        while some := await reader.read(65536):
            writer.write(some)
            await writer.drain()
    writer.close()


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
