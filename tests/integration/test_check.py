"""`check`: a line for each thing looked at, what to do, and the exit code that a job would end with."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

import aiohttp
import pytest

from tests.conftest import QUICK
from tests.integration.mirroring import PlainSource, environment, run_command
from tests.integration.verdicts import IMPATIENT, assert_told
from worker.errors import EXIT_INCOMPLETE, EXIT_OK, EXIT_SOURCE, EXIT_USAGE, EXIT_WAREHOUSE
from worker.jobs.check import judge_roster
from worker.jobs.run.rosters import People
from worker.load.embedded import EmbeddedServer
from worker.load.embedded.home import find_home
from worker.load.worklist import RosterWalk
from worker.sandbox.population import make_clinic
from worker.sandbox.sandbox_server import SandboxServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import asyncpg


@pytest.fixture
async def server() -> AsyncIterator[SandboxServer]:
    async with SandboxServer(make_clinic(messages=60, practitioners=4, patients=10)) as started:
        yield started


async def test_check_of_a_healthy_set_up(server: SandboxServer, database_dsn: str) -> None:
    variables = environment(server.url, database_dsn)
    assert (await run_command(variables, "migrate")).code == EXIT_OK
    finished = await run_command(variables, "check")
    assert (finished.code, finished.err) == (EXIT_OK, "")
    lines = finished.out.splitlines()
    assert all(line.startswith("✓ ") for line in lines), finished.out
    assert "✓ the source's settings are valid; the instance is loopback" in lines
    assert "✓ the roster lists 3 active and 1 inactive practitioners" in lines
    assert "✓ the source lists patients, which verify and backfill need" in lines
    assert "✓ schema canvas is up to date" in lines


async def test_check_names_what_is_worth_a_look(
    server: SandboxServer, database_dsn: str, database: asyncpg.Connection
) -> None:
    finished = await run_command(environment(server.url, database_dsn, MIRROR_RATES="5"), "check")
    assert finished.code == EXIT_OK
    assert "! MIRROR_RATES is set, but no setting of that name exists. — Check its spelling." in finished.out
    assert re.search(r"^! schema canvas: \d+ files to apply — ", finished.out, re.MULTILINE)
    assert await database.fetchval("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'canvas%'") == 0


async def test_check_names_what_would_write_messages_into_the_server_s_log(
    server: SandboxServer, database_dsn: str, database: asyncpg.Connection
) -> None:
    """Statements only together with their parameters; modules only where they are set."""
    variables = environment(server.url, database_dsn)
    name = await database.fetchval("SELECT quote_ident(current_database())")
    for setting in ("log_statement = 'all'", "auto_explain.log_min_duration = '250ms'", "pgaudit.log_parameter = 'on'"):
        await database.execute(f"ALTER DATABASE {name} SET {setting}")
    finished = await run_command(variables, "check")
    modules = {
        "! the server's log may quote messages: auto_explain.log_min_duration = 250ms — Set it to -1 for this role.",
        "! the server's log may quote messages: pgaudit.log_parameter = on — Set it to off for this role.",
    }
    assert {line for line in finished.out.splitlines() if "the server's log" in line} == modules
    await database.execute(f"ALTER DATABASE {name} SET log_parameter_max_length = -1")
    quoting = "log_statement = all, with parameters"
    finished = await run_command(variables, "check")
    assert {line for line in finished.out.splitlines() if "the server's log" in line} == modules | {
        "! the server's log may quote messages: log_parameter_max_length = -1 — Set it to 0.",
        f"! the server's log does quote messages: {quoting} — Set log_parameter_max_length to 0.",
    }


async def test_check_names_what_the_role_and_the_database_bring_along(
    server: SandboxServer, database_dsn: str, database: asyncpg.Connection
) -> None:
    """Policies that hide rows, a collation of another version; and time-outs, which do not apply."""
    role = f"writer_{uuid4().hex}"
    await database.execute(f"CREATE ROLE {role} LOGIN")
    await database.execute(f"GRANT CREATE ON DATABASE {urlsplit(database_dsn).path.strip('/')} TO {role}")
    variables = environment(server.url, urlsplit(database_dsn)._replace(netloc=f"{role}@").geturl())
    try:
        assert (await run_command(variables, "migrate")).code == EXIT_OK
        await database.execute(f"ALTER ROLE {role} SET statement_timeout = '5s'")
        await database.execute("ALTER TABLE canvas.message ENABLE ROW LEVEL SECURITY")
        await database.execute("ALTER TABLE canvas.message FORCE ROW LEVEL SECURITY")
        await database.execute("SET allow_system_table_mods = on")
        await database.execute("UPDATE pg_database SET datcollversion = '0' WHERE datname = current_database()")
        finished = await run_command(variables, "check")
        assert finished.code == EXIT_OK, finished.out
        assert (
            "✓ the mirror's sessions are not bound by this role's time-outs (statement_timeout = 5000ms)"
            in finished.out
        )
        assert "! row security may hide rows from this role: canvas.message — ALTER TABLE" in finished.out
        assert "! the database's collation has another version" in finished.out
        assert "REFRESH COLLATION VERSION" in finished.out
    finally:
        await database.execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")


async def test_check_goes_on_after_what_is_broken(server: SandboxServer, database_dsn: str) -> None:
    wrong_secret = environment(server.url, database_dsn, CANVAS_CLIENT_SECRET="wrong")
    finished = await run_command(wrong_secret, "check")
    assert finished.code == EXIT_USAGE
    assert re.search(r"^✗ .*refuses these credentials.* — Check CANVAS_CLIENT_ID", finished.out, re.MULTILINE)
    assert "✓ the warehouse answers" in finished.out
    nothing_there = environment("http://127.0.0.1:1", "postgresql://127.0.0.1:1/w", **IMPATIENT)
    finished = await run_command(nothing_there, "check")
    assert finished.code == EXIT_SOURCE
    assert len(re.findall(r"^✗ .* — ", finished.out, re.MULTILINE)) == 2
    assert "message-mirror check" not in finished.out
    assert len(finished.out.splitlines()) == 3  # a line each, however long
    only_the_warehouse = environment(server.url, "postgresql://127.0.0.1:1/w", **IMPATIENT)
    assert (await run_command(only_the_warehouse, "check")).code == EXIT_WAREHOUSE
    assert "Traceback" not in finished.err


async def test_check_sees_a_schedule_that_serve_would_refuse(server: SandboxServer, database_dsn: str) -> None:
    finished = await run_command(environment(server.url, database_dsn, MIRROR_NIGHTLY="x y z a b"), "check")
    assert finished.code == EXIT_USAGE
    assert re.search(r"^✗ MIRROR_NIGHTLY is not a cron expression", finished.out, re.MULTILINE)
    assert "✓ the source answers" in finished.out


async def test_check_sees_a_role_that_may_not_create_the_schemas(
    server: SandboxServer, database_dsn: str, database: asyncpg.Connection
) -> None:
    """It says what to do, and is content once that is done."""
    role = f"meek_{uuid4().hex}"
    await database.execute(f"CREATE ROLE {role}")
    try:
        variables = environment(server.url, f"{database_dsn}&role={role}")
        finished = await run_command(variables, "check")
        assert finished.code == EXIT_WAREHOUSE, finished.out
        assert re.search(r"^✗ schema canvas: .*CREATE SCHEMA canvas_ops AUTHORIZATION", finished.out, re.MULTILINE)
        assert_told(await run_command(variables, "sync"), EXIT_WAREHOUSE, "SQLSTATE 42501", "owner of both schemas")
        await database.execute(f"CREATE SCHEMA canvas AUTHORIZATION {role}")
        assert (await run_command(variables, "check")).code == EXIT_WAREHOUSE
        await database.execute(f"CREATE SCHEMA canvas_ops AUTHORIZATION {role}")
        assert (await run_command(variables, "check")).code == EXIT_OK
        assert (await run_command(variables, "sync")).code == EXIT_OK
    finally:
        await database.execute(f"DROP OWNED BY {role} CASCADE")
        await database.execute(f"DROP ROLE {role}")


async def test_a_database_that_is_read_only(
    server: SandboxServer, database_dsn: str, database: asyncpg.Connection
) -> None:
    """`check` says so, and a run in the same words before it does anything."""
    name = await database.fetchval("SELECT quote_ident(current_database())")
    await database.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    variables = environment(server.url, database_dsn)
    checked = await run_command(variables, "check")
    assert checked.code == EXIT_WAREHOUSE
    assert re.search(r"^✗ transactions are read-only here .* — ALTER ROLE", checked.out, re.MULTILINE), checked.out
    assert_told(
        await run_command(variables | {"MIRROR_PATIENCE": "1s"}, "sync"),
        EXIT_WAREHOUSE,
        "cannot be used (transactions are read-only here",
        "primary",
    )


async def test_a_standby(server: SandboxServer, run_directory: Path) -> None:
    """A server in recovery answers and can only be read."""
    standby = EmbeddedServer(run_directory / "standby", extra_settings=QUICK, elsewhere=run_directory / "elsewhere")
    try:
        variables = environment(server.url, await asyncio.to_thread(standby.start))
        assert (await run_command(variables, "migrate")).code == EXIT_OK
        await asyncio.to_thread(standby.stop)
        (find_home(standby.directory, standby.elsewhere).data / "standby.signal").touch()
        await asyncio.to_thread(standby.start)
        checked = await run_command(variables, "check")
        assert checked.code == EXIT_WAREHOUSE
        said = "✗ this server is a standby, which can only be read — Name the primary in WAREHOUSE_DSN."
        assert said in checked.out.splitlines()
        impatient = variables | {"MIRROR_PATIENCE": "1s"}
        assert_told(await run_command(impatient, "sync"), EXIT_WAREHOUSE, "this server is a standby")
    finally:
        await asyncio.to_thread(standby.remove)


async def test_check_sees_a_role_that_may_read_and_not_write(
    server: SandboxServer, database_dsn: str, database: asyncpg.Connection
) -> None:
    """It need not own what it may write."""
    assert (await run_command(environment(server.url, database_dsn), "migrate")).code == EXIT_OK
    role = f"reader_{uuid4().hex}"
    await database.execute(f"CREATE ROLE {role}")
    try:
        await database.execute(f"GRANT USAGE ON SCHEMA canvas, canvas_ops TO {role}")
        await database.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA canvas, canvas_ops TO {role}")
        variables = environment(server.url, f"{database_dsn}&role={role}")
        checked = await run_command(variables, "check")
        assert checked.code == EXIT_WAREHOUSE
        assert re.search(r"^✗ schema canvas: this role may read it, but not write", checked.out, re.MULTILINE)
        await database.execute(f"GRANT INSERT, UPDATE ON ALL TABLES IN SCHEMA canvas, canvas_ops TO {role}")
        assert (await run_command(variables, "check")).code == EXIT_OK
    finally:
        await database.execute(f"DROP OWNED BY {role} CASCADE")
        await database.execute(f"DROP ROLE {role}")


async def test_a_client_that_may_not_read_patients(server: SandboxServer, database_dsn: str) -> None:
    """`check` says so beforehand; a sync is complete; `verify` names the reason, and advises what can help."""
    async with aiohttp.ClientSession() as session:
        grant = {"grant_type": "client_credentials", "client_id": server.client_id}
        grant |= {"client_secret": server.client_secret, "scope": "system/Communication.read system/Practitioner.read"}
        async with session.post(f"{server.url}/auth/token/", data=grant) as answer:
            token = (await answer.json())["access_token"]
    variables = environment(server.url, database_dsn, CANVAS_TOKEN=token)
    del variables["CANVAS_CLIENT_ID"], variables["CANVAS_CLIENT_SECRET"]
    checked = await run_command(variables, "check")
    assert checked.code == EXIT_OK, checked.out + checked.err
    said = "! the patients cannot be listed (http_403) — verify and backfill need the scope to read Patient."
    assert said in checked.out.splitlines()
    assert (await run_command(variables, "sync")).code == EXIT_OK
    verified = await run_command(variables, "verify", "--no-sync")
    assert_told(verified, EXIT_INCOMPLETE, "not proven (http_403)", "Next: give this client the scopes")


async def test_check_fails_at_a_source_that_lists_nobody(database_dsn: str) -> None:
    async with PlainSource({}) as source:
        finished = await run_command(environment(source.url, database_dsn), "check")
    assert finished.code == EXIT_INCOMPLETE
    assert re.search(r"^✗ the roster lists no practitioner, .* --accept-roster\.$", finished.out, re.MULTILINE)


@pytest.mark.parametrize(
    ("reason", "exit_code", "advice"),
    [("http_403", EXIT_USAGE, "scope"), ("foreign_next", EXIT_INCOMPLETE, "CANVAS_FHIR_URL")],
)
def test_the_advice_on_a_roster_fits_its_reason(reason: str, exit_code: int, advice: str) -> None:
    walked = RosterWalk("Practitioner", "active", "true", reason, 3, datetime.now(UTC), None, 0, 0)
    line = judge_roster([People((), (), walked)])
    assert (line.ok, line.exit_code) == (False, exit_code)
    assert reason in line.what
    assert advice in line.next
