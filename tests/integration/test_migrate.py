"""The schema: brought up to date from files, once, by whoever comes first, and never guessed at."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.integration.mirroring import environment, ids_of, mirror_settings, run_command
from worker.errors import MigrationError, WarehouseRefused
from worker.jobs.run.plan import Outcome
from worker.jobs.sync import sync
from worker.load.postgres import migrations as migrate_module
from worker.load.postgres.database import open_warehouse
from worker.load.postgres.migrations import known_files, migrate, read_outstanding
from worker.load.postgres.statements import SQL_DIRECTORY
from worker.sandbox.population import make_clinic
from worker.sandbox.sandbox_server import SandboxServer
from worker.setting_values import RESERVED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import asyncpg

    from worker.load.postgres.database import Warehouse

PATIENCE = timedelta(seconds=5)
NOWHERE = "http://127.0.0.1:9"
APPLIED = "SELECT name, checksum, applied_at FROM canvas_ops.migration ORDER BY name"


@asynccontextmanager
async def warehouse_at(dsn: str, schema: str = "canvas") -> AsyncIterator[Warehouse]:
    async with open_warehouse(dsn, schema, PATIENCE) as warehouse:
        yield warehouse


@pytest.fixture
def sql_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a copy of `sql/` that this process migrates from, to be edited."""
    copy = tmp_path / "sql"
    shutil.copytree(SQL_DIRECTORY, copy)
    monkeypatch.setattr(migrate_module, "SQL_DIRECTORY", copy)
    return copy


async def test_fresh_and_once_more(database_dsn: str, database: asyncpg.Connection) -> None:
    """An empty database gets every file in order; a second time there is nothing to do and nothing is touched."""
    variables = environment(NOWHERE, database_dsn)
    first = await run_command(variables, "migrate")
    names = [file.name for file in known_files()]
    assert first.code == 0, first.err
    assert first.out.splitlines() == [
        *(f"applied sql/{name}.sql" for name in names),
        "Schema canvas is up to date.",
    ]
    applied = await database.fetch(APPLIED)
    assert [row["name"] for row in applied] == sorted(names)
    second = await run_command(variables, "migrate")
    assert (second.code, second.out) == (0, "Schema canvas is up to date.\n")
    assert await database.fetch(APPLIED) == applied


async def test_two_at_once(database_dsn: str, database: asyncpg.Connection) -> None:
    """Of several that start together one applies everything and the others find it done."""
    async with (
        warehouse_at(database_dsn) as one,
        warehouse_at(database_dsn) as two,
        warehouse_at(database_dsn) as three,
    ):
        results = await asyncio.gather(migrate(one), migrate(two), migrate(three))
    names = tuple(file.name for file in known_files())
    assert sorted(results) == [(), (), names]
    assert len(await database.fetch(APPLIED)) == len(names)


async def test_an_edited_migration_is_refused(
    database_dsn: str, database: asyncpg.Connection, sql_directory: Path
) -> None:
    """A migration whose file changed after it was applied stops the worker, and nothing is changed."""
    made_up = sql_directory / "migrations" / "9999_made_up.sql"
    made_up.write_text("COMMENT ON TABLE canvas.message IS 'Made up.';\n", encoding="utf-8")
    async with warehouse_at(database_dsn) as warehouse:
        await migrate(warehouse)
        applied = await database.fetch(APPLIED)
        made_up.write_text("DROP TABLE canvas.message CASCADE;\n", encoding="utf-8")
        with pytest.raises(MigrationError, match=r"migrations/9999_made_up\.sql was edited"):
            await migrate(warehouse)
    assert await database.fetch(APPLIED) == applied
    assert await ids_of(database) == set()


async def test_a_changed_view_is_replaced(database_dsn: str, database: asyncpg.Connection, sql_directory: Path) -> None:
    """Views are code: a changed file is applied again, and only that one."""
    async with warehouse_at(database_dsn) as warehouse:
        await migrate(warehouse)
        view = sql_directory / "views" / "live_message.sql"
        view.write_text(view.read_text().replace("the one to start from.';", "start here.';"))
        assert await migrate(warehouse) == ("views/live_message",)
        assert await migrate(warehouse) == ()
    assert "start here" in await database.fetchval("SELECT obj_description('canvas.live_message'::regclass)")


async def test_a_failing_migration_leaves_nothing_behind(
    database_dsn: str, database: asyncpg.Connection, sql_directory: Path
) -> None:
    """All files of a call are one transaction: when the last fails, the first is undone too."""
    broken = sql_directory / "views" / "zz_broken.sql"
    broken.write_text("CREATE TABLE canvas.half (id text);\nSELECT no_such_column FROM canvas.message;\n")
    async with warehouse_at(database_dsn) as warehouse:
        with pytest.raises(WarehouseRefused, match="42703"):
            await migrate(warehouse)
        assert await database.fetchval("SELECT to_regnamespace('canvas')") is None
        broken.unlink()
        assert await migrate(warehouse) == tuple(file.name for file in known_files())
        before = await database.fetch(APPLIED)
        (sql_directory / "migrations" / "9998_first.sql").write_text("CREATE TABLE canvas.half (id text);\n")
        (sql_directory / "migrations" / "9999_second.sql").write_text("SELECT no_such_column FROM canvas.half;\n")
        with pytest.raises(WarehouseRefused, match="42703"):
            await migrate(warehouse)
    assert await database.fetch(APPLIED) == before
    assert await database.fetchval("SELECT to_regclass('canvas.half')") is None


@pytest.mark.parametrize("command", ["migrate", "migrate --print", "sync", "check", "status"])
async def test_a_schema_from_before_the_first_release_is_refused(
    command: str, database_dsn: str, database: asyncpg.Connection
) -> None:
    """Its migrations were squashed into the schema: exit 4, what to type, and nothing is read or changed."""
    await database.execute(
        "CREATE SCHEMA canvas; CREATE SCHEMA canvas_ops; CREATE TABLE canvas.message (id text PRIMARY KEY);"
        " CREATE TABLE canvas_ops.migration (name text PRIMARY KEY, checksum text, applied_at timestamptz);"
        " INSERT INTO canvas_ops.migration SELECT name, 'abc', now() FROM unnest(ARRAY['views/freshness',"
        " 'migrations/0001_analyst_tables', 'migrations/0002_worker_tables', 'migrations/0023_over_caps']) AS name"
    )
    applied = await database.fetch(APPLIED)
    async with SandboxServer(make_clinic(messages=10, practitioners=2, patients=2)) as server:
        done = await run_command(environment(server.url, database_dsn), *command.split())
        assert command == "check" or server.requests == 0
    assert done.code == 4
    told = done.out if command == "check" else done.err
    assert "made by a version before the first release" in told
    assert "Create an empty database, name it in WAREHOUSE_DSN" in told
    assert "`message-mirror sync`" in told
    assert "Traceback" not in done.err
    assert await database.fetch(APPLIED) == applied


@pytest.mark.parametrize("command", ["migrate", "sync", "status"])
async def test_a_newer_schema_is_refused(command: str, database_dsn: str, database: asyncpg.Connection) -> None:
    """A schema with migrations that this version does not know is left alone: exit 4, and what to install."""
    async with warehouse_at(database_dsn) as warehouse:
        await migrate(warehouse)
    await database.execute("INSERT INTO canvas_ops.migration VALUES ('migrations/9999_from_the_future', 'abc')")
    async with SandboxServer(make_clinic(messages=10, practitioners=2, patients=2)) as server:
        done = await run_command(environment(server.url, database_dsn), command)
        assert server.requests == 0
    assert done.code == 4
    assert "newer than this worker" in done.err
    assert "migrations/9999_from_the_future" in done.err
    assert "Traceback" not in done.err
    assert await ids_of(database) == set()


async def test_everything_has_a_comment(database_dsn: str, database: asyncpg.Connection) -> None:
    """Every table, view and column of both schemas says what it is."""
    async with warehouse_at(database_dsn) as warehouse:
        await migrate(warehouse)
    silent = await database.fetch(
        "SELECT c.oid::regclass::text AS relation, a.attname FROM pg_class AS c"
        " JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum >= 0 AND NOT a.attisdropped"
        " WHERE c.relnamespace IN ('canvas'::regnamespace, 'canvas_ops'::regnamespace) AND c.relkind IN ('r', 'v', 'm')"
        " AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid, 'pg_class') IS NULL)"
    )
    assert silent == []
    counted = "SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'v') AND relnamespace = $1::text::regnamespace"
    assert await database.fetchval(counted, "canvas") >= 7
    assert await database.fetchval(counted, "canvas_ops") >= 8


async def test_two_instances_beside_one_another(database_dsn: str, database: asyncpg.Connection) -> None:
    """Two schemas of one database hold two instances; neither run sees the other's rows, fingerprints or runs."""
    for schema, messages, seed in (("canvas", 30, 1), ("canvas_north", 20, 2)):
        async with SandboxServer(make_clinic(messages=messages, practitioners=2, patients=4, seed=seed)) as server:
            settings = mirror_settings(
                server.url, database_dsn, WAREHOUSE_SCHEMA=schema, CANVAS_INSTANCE=f"{schema}.example.com"
            )
            for new in (messages, 0):
                result = await sync(settings)
                assert (result.outcome, result.sums.new) == (Outcome.COMPLETE, new)
    held = (
        "SELECT (SELECT count(*) FROM {0}.live_message), (SELECT messages FROM {0}.freshness),"
        " (SELECT count(*) FROM {0}_ops.run), (SELECT instance FROM {0}_ops.source)"
    )
    assert tuple(await database.fetchrow(held.format("canvas"))) == (30, 30, 2, "canvas.example.com")
    assert tuple(await database.fetchrow(held.format("canvas_north"))) == (20, 20, 2, "canvas_north.example.com")
    about = "SELECT obj_description('canvas_north.message'::regclass)"
    assert "canvas_north.live_message" in await database.fetchval(about)


async def test_a_schema_belongs_to_one_instance(database_dsn: str, database: asyncpg.Connection) -> None:
    """Messages of two instances never mix: the second is refused before it is read from, and nothing is written."""
    async with SandboxServer(make_clinic(messages=30, practitioners=2, patients=4)) as server:
        variables = environment(server.url, database_dsn, CANVAS_INSTANCE="north.example.com")
        assert (await run_command(variables, "sync")).code == 0
        runs = await database.fetchval("SELECT count(*) FROM canvas_ops.run")
        asked = server.requests
        refused = await run_command({**variables, "CANVAS_INSTANCE": "south.example.com"}, "sync")
        assert server.requests == asked
    assert refused.code == 2
    assert "north.example.com" in refused.err
    assert "WAREHOUSE_SCHEMA" in refused.err
    assert await database.fetchval("SELECT count(*) FROM canvas_ops.run") == runs


@pytest.fixture
async def writer(database: asyncpg.Connection) -> AsyncIterator[str]:
    """Give the name of a role without any right on the database but to connect and to stage."""
    name = f"writer_{uuid4().hex}"
    await database.execute(f"CREATE ROLE {name}")
    yield name
    await database.execute(f"DROP OWNED BY {name} CASCADE")
    await database.execute(f"DROP ROLE {name}")


async def test_owning_the_schemas_is_enough(database_dsn: str, database: asyncpg.Connection, writer: str) -> None:
    """The writer needs no CREATE on the database, no superuser and no CREATEROLE if the schemas are its own."""
    await database.execute(f"CREATE SCHEMA canvas AUTHORIZATION {writer}")
    await database.execute(f"CREATE SCHEMA canvas_ops AUTHORIZATION {writer}")
    assert not await database.fetchval("SELECT has_database_privilege($1, current_database(), 'CREATE')", writer)
    async with SandboxServer(make_clinic(messages=30, practitioners=2, patients=4)) as server:
        settings = mirror_settings(server.url, f"{database_dsn}&role={writer}")
        result = await sync(settings)
    assert (result.outcome, result.sums.new) == (Outcome.COMPLETE, 30)
    owner = "SELECT relowner::regrole::text FROM pg_class WHERE oid = 'canvas.message'::regclass"
    assert await database.fetchval(owner) == writer


async def test_a_role_that_may_not_migrate_is_told(
    database_dsn: str, database: asyncpg.Connection, writer: str
) -> None:
    """Without the schemas and without the right to make them it exits 4 with SQLSTATE and what to check."""
    done = await run_command(environment(NOWHERE, f"{database_dsn}&role={writer}"), "migrate")
    assert done.code == 4
    assert "42501" in done.err
    assert "Traceback" not in done.err
    assert await database.fetchval("SELECT to_regnamespace('canvas')") is None


@pytest.mark.parametrize("schema", ["canvas", "canvas_north"])
async def test_the_printed_sql_does_the_same(schema: str, database_dsn: str, database: asyncpg.Connection) -> None:
    """`migrate --print` changes nothing; run by hand, its script leaves `migrate` with nothing to do."""
    variables = environment(NOWHERE, database_dsn, WAREHOUSE_SCHEMA=schema)
    printed = await run_command(variables, "migrate", "--print")
    assert printed.code == 0, printed.err
    assert await database.fetchval("SELECT to_regnamespace($1)", schema) is None
    await database.execute(printed.out)
    async with warehouse_at(database_dsn, schema) as warehouse:
        assert await read_outstanding(warehouse) == ()
        assert await migrate(warehouse) == ()
    assert await database.fetchval("SELECT to_regclass($1)", f"{schema}.live_message") is not None
    again = await run_command(variables, "migrate", "--print")
    assert (again.code, again.out.startswith("-- ")) == (0, True)


async def test_a_view_that_somebody_reads_is_waited_for_not_long(
    sql_directory: Path, database_dsn: str, database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a migration that waits for a view, everybody who reads it waits: it gives up, and says what to do."""
    async with warehouse_at(database_dsn) as warehouse:
        await migrate(warehouse)
        view = sql_directory / "views" / "live_message.sql"
        view.write_text(view.read_text(encoding="utf-8") + "-- Changed.\n", encoding="utf-8")
        monkeypatch.setattr(migrate_module, "_TIMEOUT", "SET LOCAL lock_timeout = '100ms';\n")
        async with database.transaction():
            await database.fetch("SELECT count(*) FROM canvas.live_message")
            with pytest.raises(WarehouseRefused) as refused:
                await migrate(warehouse)
        assert "open transaction" in refused.value.next
        assert await migrate(warehouse) == ("views/live_message",)


async def test_no_schema_is_named_by_a_reserved_word(database: asyncpg.Connection) -> None:
    """Those that this server has are known, and no more than some version has."""
    rows = await database.fetch("SELECT word FROM pg_get_keywords() WHERE catcode IN ('R', 'T')")
    there = {row["word"] for row in rows}
    assert there <= RESERVED
    assert RESERVED - there <= {"system_user"}  # since 16
