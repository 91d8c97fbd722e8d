"""One run at a time: who holds the lock is said, and nobody holds it longer than they live."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from tests.integration.mirroring import (
    CHECKOUT,
    environment,
    ids_of,
    mirror_settings,
    run_command,
    start_command,
    until,
)
from worker.errors import RunLocked
from worker.jobs.run.plan import Outcome
from worker.jobs.sync import sync
from worker.load.postgres.database import open_warehouse
from worker.load.postgres.lock import lock_key
from worker.load.run_lock import RunLock, run_lock
from worker.sandbox.population import make_clinic
from worker.sandbox.sandbox_server import SandboxServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg
    from aiohttp.typedefs import Handler, Middleware

PATIENCE = timedelta(seconds=5)
HOLDERS = (
    "SELECT count(*) FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database"
    " WHERE l.locktype = 'advisory' AND l.granted AND d.datname = current_database()"
    " AND (l.classid::bigint << 32 | l.objid::bigint) = $1"
)
CUT = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
    " WHERE datname = current_database() AND application_name LIKE 'message-mirror sync %'"
)


class Gate:
    """A middleware that keeps every search by sender waiting while it is shut."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.reached = asyncio.Event()

    def middleware(self) -> Middleware:
        @web.middleware
        async def stand(request: web.Request, handler: Handler) -> web.StreamResponse:
            if "sender" in request.query:
                self.reached.set()
                await self.opened.wait()
            return await handler(request)

        return stand


@pytest.fixture
async def gate() -> AsyncIterator[Gate]:
    """Give a shut gate, opened in the end so that its server can stop."""
    gate = Gate()
    yield gate
    gate.opened.set()


async def is_free(database: asyncpg.Connection) -> bool:
    return bool(await database.fetchval(HOLDERS, lock_key("canvas", "run")) == 0)


async def test_a_second_run_says_who_holds_the_lock(
    gate: Gate, database_dsn: str, database: asyncpg.Connection
) -> None:
    """It exits 75 naming job, host, process and since when; a killed holder lets go, and the next run goes on."""
    clinic = make_clinic(messages=60, practitioners=3, patients=10)
    async with SandboxServer(clinic, middlewares=[gate.middleware()]) as server:
        variables = environment(server.url, database_dsn)
        holder = await start_command(variables, "sync")
        await gate.reached.wait()

        for second in ("sync", "backfill"):
            refused = await run_command(variables, second)
            assert refused.code == 75
            assert f"message-mirror sync {socket.gethostname()}:{holder.pid}"[:63] in refused.err
            assert re.search(r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", refused.err)
            assert "Traceback" not in refused.err
        assert await database.fetchval("SELECT count(*) FROM canvas_ops.run") == 1

        holder.kill()
        await holder.communicate()
        await until(lambda: is_free(database))
        gate.opened.set()
        result = await sync(mirror_settings(server.url, database_dsn))
    assert (result.outcome, result.resumed) == (Outcome.COMPLETE, True)
    assert await ids_of(database) == {one["id"] for one in clinic}


@pytest.mark.parametrize(
    ("command", "advice"),
    [
        ("backfill", "The same command resumes it."),
        ("backfill --restart", "Run the same command again. Without --restart it resumes what was begun."),
        ("backfill --dry-run", "Run the same command again."),
        ("verify", "The same command resumes its sync, and reads the rest again."),
        ("verify --no-sync", "Run the same command again."),
    ],
)
async def test_after_a_signal_no_more_is_promised_than_is_so(
    command: str, advice: str, gate: Gate, database_dsn: str
) -> None:
    clinic = make_clinic(messages=60, practitioners=3, patients=10)
    async with SandboxServer(clinic, middlewares=[gate.middleware()]) as server:
        process = await start_command(environment(server.url, database_dsn), *command.split())
        await gate.reached.wait()
        process.terminate()
        _, err = await process.communicate()
        assert process.returncode == 130
        assert f"  Next: {advice}\n" in err.decode()
        gate.opened.set()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_ends_a_run_that_can_go_on(
    number: signal.Signals, gate: Gate, database_dsn: str, database: asyncpg.Connection
) -> None:
    """Each exits 130 with the next command; the lock is free, the run open, its finished searches kept."""
    clinic = make_clinic(messages=60, practitioners=3, patients=10)
    async with SandboxServer(clinic, middlewares=[gate.middleware()]) as server:
        variables = environment(server.url, database_dsn)
        # Under nohup this process ignores SIGHUP, and what it starts would, too.
        before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
        process = await start_command(variables, "sync")
        signal.signal(signal.SIGHUP, before)
        await gate.reached.wait()
        process.send_signal(number)
        _, err = await process.communicate()
        assert process.returncode == 130
        assert "The same command resumes it" in err.decode()
        await until(lambda: is_free(database))
        assert await database.fetchval("SELECT outcome FROM canvas_ops.run") is None
        gate.opened.set()
        done = await run_command(variables, "sync")
    assert done.code == 0, done.err
    assert "resumed" in done.out
    assert await database.fetchval("SELECT outcome FROM canvas_ops.run") == "complete"


async def test_a_run_that_was_started_with_nohup_outlives_its_terminal(
    gate: Gate, database_dsn: str, database: asyncpg.Connection
) -> None:
    clinic = make_clinic(messages=60, practitioners=3, patients=10)
    async with SandboxServer(clinic, middlewares=[gate.middleware()]) as server:
        process = await asyncio.create_subprocess_exec(
            *("sh", "-c", """trap '' HUP; exec "$0" -m worker sync""", sys.executable),
            env={"PATH": os.environ["PATH"], **environment(server.url, database_dsn)},
            cwd=CHECKOUT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        await gate.reached.wait()
        process.send_signal(signal.SIGHUP)
        gate.opened.set()
        _, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    assert await database.fetchval("SELECT outcome FROM canvas_ops.run") == "complete"


async def test_schemas_have_locks_of_their_own(database_dsn: str) -> None:
    """Two schemas of one database do not hinder each other; the same schema twice does."""
    async with (
        open_warehouse(database_dsn, "canvas", PATIENCE) as one,
        open_warehouse(database_dsn, "canvas_north", PATIENCE) as other,
        run_lock(one, "sync"),
        run_lock(other, "sync"),
    ):
        with pytest.raises(RunLocked, match=f"message-mirror sync .*:{os.getpid()}"):
            async with run_lock(other, "backfill"):
                pytest.fail("held twice")


async def test_the_lock_is_free_after_its_job(database_dsn: str, database: asyncpg.Connection) -> None:
    """Whoever is done lets go at once, be it with an error."""
    async with open_warehouse(database_dsn, "canvas", PATIENCE) as warehouse:
        with pytest.raises(RuntimeError):
            async with run_lock(warehouse, "sync"):
                raise RuntimeError
        await until(lambda: is_free(database))
        async with run_lock(warehouse, "sync"):
            assert not await is_free(database)


async def test_a_lost_lock_is_taken_again_or_given_up(database_dsn: str, database: asyncpg.Connection) -> None:
    """A cut connection loses the lock: it is taken anew if nobody has it, and else the run must stop."""
    async with open_warehouse(database_dsn, "canvas", PATIENCE) as warehouse, run_lock(warehouse, "sync") as lock:
        assert await database.fetchval(CUT)
        await until(lambda: is_free(database))
        await until(lambda: _lost(lock))
        await lock.ensure()
        assert not await is_free(database)

        assert await database.fetchval(CUT)
        await until(lambda: _lost(lock))
        async with run_lock(warehouse, "backfill"):
            with pytest.raises(RunLocked, match="message-mirror backfill"):
                await lock.ensure()


async def test_a_coordinator_without_its_lock_does_nothing(database_dsn: str, database: asyncpg.Connection) -> None:
    """What only a coordinator may do is done once the lock is its own again, and not while another run has it."""
    done: list[str] = []

    async def note(connection: asyncpg.Connection, what: str) -> None:
        await connection.execute("SELECT 1")
        done.append(what)

    async with open_warehouse(database_dsn, "canvas", PATIENCE) as warehouse, run_lock(warehouse, "sync") as lock:
        await lock.work(note, "held")
        assert await database.fetchval(CUT)
        await lock.work(note, "taken again")
        assert await lock.ensure()
        assert not await lock.ensure()

        assert await database.fetchval(CUT)
        async with run_lock(warehouse, "backfill"):
            with pytest.raises(RunLocked, match="message-mirror backfill"):
                await lock.work(note, "lost")
    assert done == ["held", "taken again"]


async def test_a_late_unit_is_waited_for(database_dsn: str, database: asyncpg.Connection) -> None:
    """A unit under way when its lock is lost ends before the first one of whoever has the lock then."""
    order: list[str] = []

    async with open_warehouse(database_dsn, "canvas", PATIENCE) as warehouse, run_lock(warehouse, "sync") as lock:
        other = RunLock(warehouse, "backfill")

        async def second(_connection: asyncpg.Connection) -> None:
            order.append("second")

        async def first(_connection: asyncpg.Connection) -> asyncio.Task[None]:
            await database.execute(CUT)
            await other.ensure()
            task = asyncio.create_task(other.work(second))
            await until(lambda: _waits(database))
            order.append("first")
            return task

        await (await lock.work(first))
        await other.release()
    assert order == ["first", "second"]


async def _waits(database: asyncpg.Connection) -> bool:
    return bool(await database.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))


async def test_the_schema_is_not_changed_under_a_run(database_dsn: str, database: asyncpg.Connection) -> None:
    """Neither a job of another version nor `migrate` touches it while a run has the lock: 75, and nothing is there."""
    variables = environment("http://127.0.0.1:1", database_dsn)
    async with open_warehouse(database_dsn, "canvas", PATIENCE) as warehouse, run_lock(warehouse, "sync"):
        for command in ("sync", "replay", "migrate"):
            refused = await run_command(variables, command)
            assert refused.code == 75, refused.err
        assert await database.fetchval("SELECT to_regnamespace('canvas') IS NULL")
    assert (await run_command(variables, "migrate")).code == 0
    async with open_warehouse(database_dsn, "canvas", PATIENCE) as warehouse, run_lock(warehouse, "sync"):
        assert (await run_command(variables, "migrate")).code == 0


async def _lost(lock: object) -> bool:
    connection: asyncpg.Connection = vars(lock)["_connection"]
    return bool(connection.is_closed())
