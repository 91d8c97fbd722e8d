"""Poolers in front of the warehouse: one in session mode is as good as the server, one in transaction mode refused."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import asyncpg
import pytest
from structlog.testing import capture_logs

from tests.integration.mirroring import environment, ids_of, run_command
from tests.integration.pgbouncer import needs_pgbouncer, pgbouncer
from tests.integration.verdicts import assert_told
from worker.errors import EXIT_WAREHOUSE, SettingsError, WarehouseAway, WarehouseRefused
from worker.load import run_lock as run_lock_module
from worker.load.postgres import database as database_module
from worker.load.postgres import sessions
from worker.load.postgres.database import open_warehouse
from worker.load.postgres.database_errors import connected
from worker.load.run_lock import run_lock
from worker.sandbox.population import make_clinic
from worker.sandbox.sandbox_server import SandboxServer

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = needs_pgbouncer
PATIENCE = timedelta(seconds=30)
LOGINS_MAX = 20
IGNORED = {
    "ignore_startup_parameters": "extra_float_digits,statement_timeout,idle_in_transaction_session_timeout,"
    "synchronous_commit,tcp_keepalives_idle,tcp_keepalives_interval,tcp_keepalives_count,tcp_user_timeout"
}


@pytest.mark.parametrize("settings", [{}, IGNORED], ids=["by default", "start-up parameters ignored"])
async def test_a_pooler_in_session_mode_is_as_good_as_the_server(
    settings: dict[str, str], database_dsn: str, database: asyncpg.Connection
) -> None:
    """`check`, `sync` and `verify` end well, and log in a few times only."""
    clinic = make_clinic(messages=200, practitioners=3, patients=10)
    async with SandboxServer(clinic) as server:
        for command in ("sync", "check", "sync", "verify"):
            with pgbouncer(database_dsn, **settings) as pooler:
                done = await run_command(environment(server.url, pooler.dsn), command)
                assert done.code == 0, done.out + done.err
                assert 0 < pooler.logins() <= LOGINS_MAX
    assert await ids_of(database) == {one["id"] for one in clinic}


async def test_every_session_behind_a_pooler_has_our_settings(database_dsn: str) -> None:
    """In the pool also after a release, which would reset them, and on a connection of its own."""

    async def show(connection: asyncpg.Connection) -> list[str]:
        return [await connection.fetchval(f"SHOW {name}") for name in ("statement_timeout", "application_name")]

    with pgbouncer(database_dsn) as pooler:
        async with open_warehouse(pooler.dsn, "canvas", PATIENCE, pool_size=1) as warehouse:
            for _ in range(2):
                assert await warehouse.work(show) == ["330s", "message-mirror"]
            single = await warehouse.single("another", show_nothing)
            assert await show(single) == ["330s", "another"]
            await single.close()


async def show_nothing(_connection: asyncpg.Connection) -> None:
    """Prepare a connection for nothing."""


async def nothing(_connection: asyncpg.Connection) -> str:
    return "done"


async def test_the_run_lock_is_held_behind_a_pooler(database_dsn: str) -> None:
    with pgbouncer(database_dsn) as pooler:
        async with open_warehouse(pooler.dsn, "canvas", PATIENCE) as warehouse, run_lock(warehouse, "sync") as lock:
            assert await lock.work(nothing) == "done"


async def test_a_lock_that_is_never_held_is_given_up(database_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sabotage: the lock is looked up by the process of the protocol. It is taken a few times, with a word, no more."""

    async def of_the_protocol(connection: asyncpg.Connection) -> int:
        return int(connection.get_server_pid())

    monkeypatch.setattr(database_module, "read_backend_pid", of_the_protocol)
    monkeypatch.setattr(run_lock_module, "PAUSE_S", 0.0)
    with pgbouncer(database_dsn) as pooler, capture_logs() as logs:
        async with open_warehouse(pooler.dsn, "canvas", PATIENCE) as warehouse, run_lock(warehouse, "sync") as lock:
            with pytest.raises(WarehouseRefused, match="The run lock was taken 8 times"):
                await lock.work(nothing)
        assert pooler.logins() <= LOGINS_MAX
    assert [log["attempt"] for log in logs] == list(range(1, 9))


async def test_settings_sent_while_connecting_are_caught(database_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sabotage: one setting of ours is a start-up parameter again."""

    async def with_settings(**arguments: object) -> asyncpg.Connection:
        return await connected(server_settings={"idle_session_timeout": "0"}, **arguments)

    monkeypatch.setattr(database_module, "connected", with_settings)
    with pgbouncer(database_dsn) as pooler, pytest.raises(SettingsError):
        async with open_warehouse(pooler.dsn, "canvas", PATIENCE):
            pytest.fail("connected")


@pytest.mark.parametrize(("mode", "size"), [*(("transaction", size) for size in ("1", "2", "20")), ("statement", "20")])
async def test_a_pooler_in_transaction_mode_is_refused_by_name(
    mode: str, size: str, database_dsn: str, database: asyncpg.Connection
) -> None:
    """By `check` and by `sync`, in one sentence, before anything is written; whatever its sessions are used for."""
    async with SandboxServer(make_clinic(messages=20, practitioners=1, patients=2)) as server:
        with pgbouncer(database_dsn, mode, default_pool_size=size) as pooler:
            variables = environment(server.url, pooler.dsn)
            for _ in range(2):
                checked = await run_command(variables, "check")
                assert checked.code == EXIT_WAREHOUSE, checked.out
                assert checked.out.count("A transaction pooler stands before the warehouse") == 1
                assert "pool_mode = session" in checked.out
                synced = await run_command(variables, "sync")
                assert_told(synced, EXIT_WAREHOUSE, "A transaction pooler stands before the warehouse", "session mode")
            assert pooler.logins() <= LOGINS_MAX
    assert await database.fetchval("SELECT to_regnamespace('canvas') IS NULL")


async def test_a_statement_that_a_pooler_prepared_elsewhere_names_it(database_dsn: str) -> None:
    """Should a transaction pooler not be recognised while connecting, what fails then names it."""
    with pgbouncer(database_dsn) as pooler:
        async with open_warehouse(pooler.dsn, "canvas", PATIENCE) as warehouse:
            for statement in ("PREPARE a AS SELECT 1; PREPARE a AS SELECT 1", "EXECUTE never_prepared"):
                with pytest.raises(WarehouseRefused, match="A transaction pooler stands before the warehouse"):
                    await warehouse.work(asyncpg.Connection.execute, statement)


async def test_a_parameter_that_a_pooler_refuses_is_a_wrong_setting(database_dsn: str) -> None:
    """It is one of WAREHOUSE_DSN: we send none of our own."""
    with pgbouncer(database_dsn) as pooler, pytest.raises(SettingsError) as wrong:
        async with open_warehouse(f"{pooler.dsn}?statement_timeout=5000", "canvas", PATIENCE):
            pytest.fail("connected")
    assert "ignore_startup_parameters" in wrong.value.next


async def test_a_pooler_with_too_few_sessions_is_told_so(database_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It lets everybody in, and then has no session for them: nobody is to look for the server at its host and port."""
    monkeypatch.setattr(sessions, "CONNECT_TIMEOUT_S", 0.5)
    with pgbouncer(database_dsn, default_pool_size="1") as pooler, pytest.raises(WarehouseAway) as away:
        async with open_warehouse(pooler.dsn, "canvas", timedelta(seconds=1)):
            pytest.fail("connected")
    assert "gave us no session" in away.value.what
    assert "default_pool_size" in away.value.next


@pytest.mark.parametrize(("netloc", "path", "sqlstate"), [("nobody:wrong@", "", "28"), ("mirror@", "/none", "3D000")])
async def test_what_a_pooler_refuses_is_told_as_the_server_would(
    netloc: str, path: str, sqlstate: str, database_dsn: str, tmp_path: Path
) -> None:
    """By one SQLSTATE for everything it would be an outage, and waited for."""
    users = tmp_path / "users"
    users.write_text('"mirror" "right"\n')
    for directory in (tmp_path, *tmp_path.parents[:-2]):
        directory.chmod(0o755)
    listed = {"auth_type": "scram-sha-256", "auth_file": str(users)} if netloc.startswith("nobody") else {}
    with pgbouncer(database_dsn, **listed) as pooler:
        at = urlsplit(pooler.dsn)
        dsn = at._replace(netloc=f"{netloc}{at.hostname}:{at.port}", path=path or at.path).geturl()
        with pytest.raises((SettingsError, WarehouseRefused), match=f"SQLSTATE {sqlstate}"):
            async with open_warehouse(dsn, "canvas", timedelta(hours=1)):
                pytest.fail("connected")
