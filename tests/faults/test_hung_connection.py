"""A connection whose other end hangs, while the server answers on new ones, costs time and not the run."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING
from unittest.mock import patch
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web

from tests.faults.worlds import open_world
from worker.errors import WarehouseAway
from worker.jobs.run.plan import Outcome
from worker.load.postgres import database, sessions
from worker.sandbox.population import make_clinic

if TYPE_CHECKING:
    from collections.abc import Iterator

    import asyncpg
    from aiohttp.typedefs import Handler, Middleware

    from tests.faults.worlds import World

FIRST_PAGE = 7
"""A request after the roster searches: the next thing to happen is a landing."""

BACKENDS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'message-mirror'"


@contextmanager
def hung_commands_are_counted() -> Iterator[None]:
    """Sabotage: the patience is counted from the beginning of a statement that hangs."""
    with patch.object(database, "_silent_since", lambda began, _now: began):
        yield


class Freezer:
    """A middleware that stops, once, all of the mirror's backends that work for its pool."""

    def __init__(self) -> None:
        self.world: World | None = None
        self.frozen: list[int] = []
        self._requests = 0

    def middleware(self) -> Middleware:
        @web.middleware
        async def freeze(request: web.Request, handler: Handler) -> web.StreamResponse:
            self._requests += 1
            if self.world is not None and self._requests == FIRST_PAGE:
                self.frozen = [row["pid"] for row in await self.world.database.fetch(BACKENDS)]
                for pid in self.frozen:
                    os.kill(pid, signal.SIGSTOP)
            return await handler(request)

        return freeze

    def thaw(self) -> None:
        """Let them go on, and end."""
        for pid in self.frozen:
            os.kill(pid, signal.SIGCONT)


async def a_run_over_hung_connections(warehouse_url: str, monkeypatch: pytest.MonkeyPatch) -> Outcome:
    """Run a sync whose statements hang as long as its patience; return its outcome."""
    monkeypatch.setattr(database, "COMMAND_TIMEOUT_S", 2.0)
    monkeypatch.setattr(database, "CONNECT_TIMEOUT_S", 0.5)
    freezer = Freezer()
    clinic = make_clinic(messages=60, practitioners=2, patients=5)
    async with open_world(warehouse_url, clinic, middlewares=[freezer.middleware()], MIRROR_PATIENCE="2s") as world:
        freezer.world = world
        try:
            result = await world.sync()
        finally:
            freezer.thaw()
        assert freezer.frozen
        assert await world.differences() == []
        return result.outcome


async def test_connections_that_hang_while_the_server_answers(
    warehouse_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time-out of a statement is as long as the patience, as it is by default: the run goes on all the same."""
    assert await a_run_over_hung_connections(warehouse_url, monkeypatch) is Outcome.COMPLETE


async def test_counted_against_the_patience_they_end_the_run(
    warehouse_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sabotage: the first statement that hangs uses the patience up."""
    with hung_commands_are_counted(), pytest.raises(WarehouseAway):
        await a_run_over_hung_connections(warehouse_url, monkeypatch)


async def test_a_connection_over_tcp_is_watched_from_our_end(database_dsn: str) -> None:
    """Our system notices within a minute that the other end is gone, be it while we wait or while we send."""
    query = parse_qs(urlsplit(database_dsn).query)
    path = f"{query['host'][0]}/.s.PGSQL.{query['port'][0]}"

    async def lead_on(client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        server, requests = await asyncio.open_unix_connection(path)
        await asyncio.gather(_pass_on(client, requests), _pass_on(server, answers))

    async with await asyncio.start_server(lead_on, "127.0.0.1", 0) as relay:
        port = relay.sockets[0].getsockname()[1]
        parts = urlsplit(database_dsn)
        dsn = parts._replace(netloc=f"{parts.username}@127.0.0.1:{port}", query="").geturl()
        async with database.open_warehouse(dsn, "canvas", timedelta(seconds=5)) as warehouse:
            set_ = await warehouse.work(_options_of)
    assert set_ == {"SO_KEEPALIVE": 1, **sessions.SOCKET_OPTIONS}


async def _options_of(connection: asyncpg.Connection) -> dict[str, int]:
    end = connection._transport.get_extra_info("socket")
    options = {name: end.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in sessions.SOCKET_OPTIONS}
    return {"SO_KEEPALIVE": end.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), **options}


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65536):
        writer.write(chunk)
    writer.close()
