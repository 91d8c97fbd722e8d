"""What a server does to a session in mid-run: settings, time-outs, failovers, secrets that change."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest
from structlog.testing import capture_logs

from tests.integration.mirroring import environment, run_command, until
from worker.errors import EXIT_OK, SettingsError, WarehouseAway, WarehouseRefused
from worker.load.embedded import EmbeddedServer
from worker.load.postgres import database as database_module
from worker.load.postgres import waiting
from worker.load.postgres.database import open_warehouse
from worker.load.run_lock import run_lock
from worker.sandbox.population import make_clinic
from worker.sandbox.sandbox_server import SandboxServer
from worker.setting_values import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from worker.load.postgres.database import Connection

# So long that a test which waits for it ends in its time-out.
PATIENCE = timedelta(hours=1)
TIMEOUTS = (
    *("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout"),
    "transaction_timeout",
)
OURS = "datname = current_database() AND application_name LIKE 'message-mirror%'"
CUT = f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {OURS}"  # noqa: S608 - a literal
CANCEL = f"SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE {OURS} AND wait_event = 'PgSleep'"  # noqa: S608


@pytest.fixture
async def roles(database: asyncpg.Connection) -> AsyncIterator[list[str]]:
    """Give two roles that may log in and do everything."""
    names = [f"writer_{uuid4().hex}" for _ in range(2)]
    for name in names:
        await database.execute(f"CREATE ROLE {name} LOGIN SUPERUSER")
    yield names
    for name in names:
        await database.execute(f"DROP OWNED BY {name} CASCADE")
        await database.execute(f"DROP ROLE {name}")


def as_role(dsn: str, role: str) -> str:
    return urlsplit(dsn)._replace(netloc=f"{role}@").geturl()


async def nothing(_connection: Connection) -> None:
    """Prepare a connection for nothing."""


async def sleep(connection: Connection, seconds: float) -> str:
    await connection.execute("SELECT pg_sleep($1)", seconds)
    return "slept"


async def who(connection: Connection) -> str:
    return str(await connection.fetchval("SELECT session_user"))


async def test_time_outs_of_the_role_do_not_apply(
    database_dsn: str, database: asyncpg.Connection, roles: list[str]
) -> None:
    """So short that no statement could end; nor does the role's isolation of transactions."""
    for setting in TIMEOUTS:
        await database.execute(f"ALTER ROLE {roles[0]} SET {setting} = '5ms'")
    await database.execute(f"ALTER ROLE {roles[0]} SET default_transaction_isolation = 'serializable'")
    async with SandboxServer(make_clinic(messages=60, practitioners=2, patients=5)) as server:
        variables = environment(server.url, as_role(database_dsn, roles[0]))
        for command in ("sync", "verify"):
            done = await run_command(variables, command)
            assert done.code == EXIT_OK, done.err


async def test_an_older_server_is_set_up_too(run_directory: Path) -> None:
    """One that does not know every setting of the list."""

    async def show(connection: Connection) -> list[str]:
        return [await connection.fetchval(f"SHOW {name}") for name in ("lock_timeout", "idle_session_timeout")]

    server = EmbeddedServer(run_directory / "older", major=16, extra_settings={"lock_timeout": "5ms"})
    dsn = await asyncio.to_thread(server.start)
    try:
        async with open_warehouse(dsn, "canvas", PATIENCE) as warehouse:
            assert await warehouse.work(show) == ["0", "0"]
    finally:
        await asyncio.to_thread(server.remove)


async def test_a_cancelled_statement_is_tried_once_more(database_dsn: str, database: asyncpg.Connection) -> None:
    """And the second time told: somebody means it, or a time-out strikes each time."""

    async def cancelled() -> bool:
        return bool(await database.fetch(CANCEL))

    async with open_warehouse(database_dsn, "canvas", PATIENCE) as warehouse:
        tries: list[int] = []

        async def work(connection: Connection) -> str:
            tries.append(1)
            return "slept" if len(tries) == 2 else await sleep(connection, 3600)

        once = asyncio.create_task(warehouse.work(work))
        await until(cancelled)
        assert await once == "slept"

        always = asyncio.create_task(warehouse.work(sleep, 3600))
        # Not twice: on a busy machine both might be the first one's, whose statement has not noticed yet.
        while not always.done():
            await cancelled()
            await asyncio.sleep(0.02)
        with pytest.raises(WarehouseRefused, match=r"SQLSTATE 57014.*cancelled, twice") as refused:
            await always
    assert "pg_cancel_backend" in refused.value.what
    assert "manual" not in refused.value.next


async def test_a_warehouse_that_can_only_be_read_for_a_while_is_waited_for(
    database_dsn: str, database: asyncpg.Connection
) -> None:
    """As while a standby takes over behind one name; and each session from before is given up for a new one."""
    name = urlsplit(database_dsn).path.strip("/")
    await database.execute("CREATE TABLE t ()")

    async def write(connection: Connection) -> int:
        await connection.execute("INSERT INTO t DEFAULT VALUES")
        pid: int = await connection.fetchval("SELECT pg_backend_pid()")
        return pid

    async with open_warehouse(database_dsn, "canvas", PATIENCE, pool_size=1) as warehouse:
        await database.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        await database.execute(CUT)
        with capture_logs() as logs:
            writing = asyncio.create_task(warehouse.work(write))

            async def was_refused() -> bool:
                return bool(logs)

            await until(was_refused)
            read_only = await database.fetchval(f"SELECT pid FROM pg_stat_activity WHERE {OURS}")  # noqa: S608
            await database.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = off")
            assert await writing != read_only
    assert {log["reason"] for log in logs} <= {
        "it can only be read for the moment, as while a standby takes over",
        "it is stopping, starting, or has ended this session",
        "the connection was lost",
    }


async def test_a_command_that_starts_while_it_can_only_be_read_waits(
    database_dsn: str, database: asyncpg.Connection
) -> None:
    """On a new session each time: the first one stays read-only as long as it lives."""
    name = urlsplit(database_dsn).path.strip("/")
    await database.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    starting = asyncio.create_task(run_command({"WAREHOUSE_DSN": database_dsn}, "migrate"))

    async def is_connected() -> bool:
        return bool(await database.fetchval(f"SELECT count(*) FROM pg_stat_activity WHERE {OURS}"))  # noqa: S608

    await until(is_connected)
    await database.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = off")
    done = await starting
    assert done.code == EXIT_OK, done.err


async def test_a_secret_that_changes_in_mid_run_is_read_again(
    database_dsn: str, database: asyncpg.Connection, roles: list[str], tmp_path: Path
) -> None:
    """Old credentials are refused, sessions cut: the file says by then who we are. A file half-written harms nobody."""
    file = tmp_path / "dsn"
    file.write_text(as_role(database_dsn, roles[0]))
    secret = Secret("WAREHOUSE_DSN", file=file)
    async with (
        open_warehouse(secret.read, "canvas", timedelta(minutes=1)) as warehouse,
        run_lock(warehouse, "sync") as lock,
    ):
        assert await lock.work(who) == roles[0]
        await database.execute(CUT)
        file.write_text("")
        assert await lock.work(who) == roles[0]
        await database.execute(f"ALTER ROLE {roles[0]} NOLOGIN")
        await database.execute(CUT)
        file.write_text(as_role(database_dsn, roles[1]))
        assert await lock.work(who) == roles[1]
        single = await warehouse.single("another", nothing)
        assert await who(single) == roles[1]
        await single.close()


async def test_credentials_are_tried_twice_and_no_more(
    database_dsn: str, database: asyncpg.Connection, roles: list[str]
) -> None:
    """The second time with what the file says then."""
    answers = [as_role(database_dsn, roles[0])] * 2 + [as_role(database_dsn, role) for role in roles]
    async with open_warehouse(lambda: answers.pop(0), "canvas", PATIENCE, pool_size=1) as warehouse:
        await database.execute(f"ALTER ROLE {roles[0]} NOLOGIN")
        await database.execute(CUT)
        assert await warehouse.work(who) == roles[1]
        assert answers == []
        await database.execute(f"ALTER ROLE {roles[1]} NOLOGIN")
        await database.execute(CUT)
        answers += [as_role(database_dsn, roles[1])] * 2
        with pytest.raises(SettingsError, match="SQLSTATE 28000"):
            await warehouse.work(who)
        assert answers == []


async def test_a_table_that_is_changed_under_a_prepared_statement_is_no_end(
    database_dsn: str, database: asyncpg.Connection
) -> None:
    await database.execute("CREATE TABLE t (a integer); INSERT INTO t VALUES (1)")

    async def read(connection: Connection) -> object:
        return await connection.fetchval("SELECT a FROM t")

    async with open_warehouse(database_dsn, "canvas", PATIENCE, pool_size=1) as warehouse:
        assert await warehouse.work(read) == 1
        await database.execute("ALTER TABLE t ALTER COLUMN a TYPE text")
        assert await warehouse.work(read) == "1"


async def reload_until_commits_wait(database: asyncpg.Connection, dsn: str) -> None:
    """Reload the server's settings, which takes a moment: commit until a commit waits for the standby."""
    await database.execute("SELECT pg_reload_conf()")
    committing = await asyncpg.connect(dsn)

    async def commit() -> None:
        while True:
            await committing.execute("INSERT INTO t DEFAULT VALUES")

    task = asyncio.create_task(commit())
    waits = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    await until(lambda: database.fetchval(waits))
    task.cancel()
    await asyncio.wait([task])
    committing.terminate()


@pytest.mark.parametrize("waits_for", ["a lock", "a standby"])
async def test_what_a_unit_waits_for_is_told(
    waits_for: str, run_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who holds the lock, or that a synchronous standby is gone: while it waits, and when it gives up."""
    monkeypatch.setattr(waiting, "ASKED_AFTER_S", 0.1)
    monkeypatch.setattr(database_module, "COMMAND_TIMEOUT_S", 2.0)
    server = EmbeddedServer(run_directory / f"waits-for-{waits_for[2:]}", extra_settings={"fsync": "off"})
    dsn = await asyncio.to_thread(server.start)
    analyst = await asyncpg.connect(dsn, server_settings={"application_name": "an analyst's notebook"})

    async def write(connection: Connection) -> None:
        await connection.execute("INSERT INTO t DEFAULT VALUES")

    try:
        await analyst.execute("CREATE TABLE IF NOT EXISTS t ()")
        async with open_warehouse(dsn, "canvas", timedelta(seconds=4)) as warehouse:
            if waits_for == "a standby":
                await analyst.execute("ALTER SYSTEM SET synchronous_standby_names = 'gone'")
                await reload_until_commits_wait(analyst, dsn)
            else:
                await analyst.execute("BEGIN; LOCK TABLE t")
            with capture_logs() as logs, pytest.raises(WarehouseAway) as away:
                await warehouse.work(write)
    finally:
        await analyst.close()
        await asyncio.to_thread(server.remove)
    told = {log["reason"] for log in logs if log["event"] == "the warehouse lets us wait"}
    words = "an analyst's notebook, idle in transaction" if waits_for == "a lock" else "a synchronous standby"
    assert [one for one in told if words in one] == [*told]
    assert words in away.value.what
