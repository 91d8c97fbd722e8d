"""The command line as it is typed: the embedded server, migrate, status, check, demo, sandbox, signals."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import aiohttp
import pytest
from aiohttp import web

from tests.integration.mirroring import (
    Finished,
    PlainSource,
    environment,
    ids_of,
    run_command,
    start_command,
    until,
)
from worker.errors import EXIT_INCOMPLETE, EXIT_OK, EXIT_SIGNAL, EXIT_SOURCE, EXIT_USAGE, EXIT_WAREHOUSE
from worker.jobs.check import judge_roster
from worker.jobs.people import People
from worker.load.ledger import RosterSearch
from worker.sandbox.population import make_clinic
from worker.sandbox.server import SandboxServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg
    from aiohttp.typedefs import Handler

SCRIPT = Path(sys.executable).parent / "message-mirror"
IMPATIENT = {"MIRROR_PATIENCE": "0.1s"}


@pytest.fixture
def directory(run_directory: Path) -> Path:
    """Give an empty directory that root's server can reach; what runs in it is removed at the end of the test run."""
    place = run_directory / f"cli-{uuid4().hex}"
    place.mkdir()
    return place


@pytest.fixture
async def server() -> AsyncIterator[SandboxServer]:
    async with SandboxServer(make_clinic(messages=60, practitioners=4, patients=10)) as started:
        yield started


# The embedded server


async def test_the_embedded_server_from_start_to_removal(directory: Path) -> None:
    async def warehouse(*arguments: str) -> Finished:
        return await run_command({"WAREHOUSE_DIR": str(directory / "pg")}, "warehouse", *arguments)

    try:
        assert (await warehouse("stop")).out == "was not running\n"
        started = await warehouse("start")
        assert started.code == EXIT_OK, started.err
        assert started.out.startswith("postgresql://")
        assert (await warehouse("dsn")).out == started.out
        asked = await warehouse("psql", "-A", "-t", "-c", "SELECT 1 + 1")
        assert (asked.code, asked.out) == (EXIT_OK, "2\n")
        assert (await warehouse("psql", "-c", "SELECT nonsense")).code == 1
        assert (await warehouse("stop")).out == "stopped\n"
        assert (await warehouse("psql", "-A", "-t", "-c", "SELECT 1")).out == "1\n"
    finally:
        removed = await warehouse("remove", "--yes")
    assert (removed.code, removed.out) == (EXIT_OK, "removed\n")
    assert not (directory / "pg" / "data").exists()


async def test_nothing_is_removed_without_a_yes(directory: Path) -> None:
    finished = await run_command({"WAREHOUSE_DIR": str(directory)}, "warehouse", "remove", stdin="n\n")
    assert finished.code == EXIT_SIGNAL
    assert "removed" not in finished.out


@pytest.mark.parametrize("subcommand", ["start", "stop", "dsn", "psql", "remove --yes"])
async def test_the_embedded_server_is_left_alone_where_another_is_in_use(subcommand: str, directory: Path) -> None:
    variables = {"WAREHOUSE_DSN": "postgresql://db.example.com/w", "WAREHOUSE_DIR": str(directory / "pg")}
    finished = await run_command(variables, "warehouse", *subcommand.split())
    assert finished.code == EXIT_USAGE
    assert "WAREHOUSE_DSN is set" in finished.err
    assert not (directory / "pg").exists()


# The schema, and what it holds


async def test_migrate_prints_what_it_would_do_does_it_and_then_has_nothing_to_do(
    database_dsn: str, database: asyncpg.Connection
) -> None:
    variables = {"WAREHOUSE_DSN": database_dsn, "WAREHOUSE_SCHEMA": "north"}
    printed = await run_command(variables, "migrate", "--print")
    assert "CREATE TABLE north.message" in printed.out
    assert await database.fetchval("SELECT to_regclass('north.message')") is None
    applied = await run_command(variables, "migrate")
    assert "applied sql/migrations/0001_analyst_tables.sql" in applied.out
    assert applied.out.endswith("Schema north is up to date.\n")
    assert await database.fetchval("SELECT to_regclass('north.message')") == "north.message"
    assert (await run_command(variables, "migrate")).out == "Schema north is up to date.\n"
    assert (await run_command(variables, "migrate", "--print")).out == ""
    assert await database.fetchval("SELECT to_regclass('canvas.message')") is None


async def test_status_before_and_after_a_run(server: SandboxServer, database_dsn: str) -> None:
    variables = environment(server.url, database_dsn)
    early = await run_command(variables, "status")
    assert early.code == EXIT_WAREHOUSE
    assert "message-mirror migrate" in early.err
    assert (await run_command(variables, "sync")).code == EXIT_OK
    status: dict[str, Any] = json.loads((await run_command(variables, "status", "--json")).out)
    assert status["schema"] == "canvas"
    assert status["freshness"]["messages"] == 60
    assert [(run["job"], run["outcome"], run["entries"]) for run in status["runs"]] == [("sync", "complete", 60)]
    assert status["quarantine"] == []
    shown = await run_command(variables, "status")
    assert shown.code == EXIT_OK
    assert "60 messages, 0 deleted" in shown.out


# check


async def test_check_of_a_healthy_set_up(server: SandboxServer, database_dsn: str) -> None:
    variables = environment(server.url, database_dsn)
    assert (await run_command(variables, "migrate")).code == EXIT_OK
    finished = await run_command(variables, "check")
    assert (finished.code, finished.err) == (EXIT_OK, "")
    lines = finished.out.splitlines()
    assert all(line.startswith("✓ ") for line in lines), finished.out
    assert "✓ the source's settings are sound; the instance is loopback" in lines
    assert "✓ the roster lists 3 active and 1 inactive practitioners" in lines
    assert "✓ schema canvas is up to date" in lines


async def test_check_names_what_is_worth_a_look(
    server: SandboxServer, database_dsn: str, database: asyncpg.Connection
) -> None:
    finished = await run_command(environment(server.url, database_dsn, MIRROR_RATES="5"), "check")
    assert finished.code == EXIT_OK
    assert "! MIRROR_RATES is set, but no setting of that name exists. — Look for a typing error." in finished.out
    assert re.search(r"^! schema canvas: \d+ files to apply — ", finished.out, re.MULTILINE)
    assert await database.fetchval("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'canvas%'") == 0


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
        assert (await run_command(variables, "sync")).code == EXIT_WAREHOUSE
        await database.execute(f"CREATE SCHEMA canvas AUTHORIZATION {role}")
        assert (await run_command(variables, "check")).code == EXIT_WAREHOUSE
        await database.execute(f"CREATE SCHEMA canvas_ops AUTHORIZATION {role}")
        assert (await run_command(variables, "check")).code == EXIT_OK
        assert (await run_command(variables, "sync")).code == EXIT_OK
    finally:
        await database.execute(f"DROP OWNED BY {role} CASCADE")
        await database.execute(f"DROP ROLE {role}")


async def test_check_wonders_at_a_source_that_lists_nobody(database_dsn: str) -> None:
    async with PlainSource({}) as source:
        finished = await run_command(environment(source.url, database_dsn), "check")
    assert finished.code == EXIT_OK
    assert re.search(r"^! the roster lists 0 active and 0 inactive practitioners — ", finished.out, re.MULTILINE)


@pytest.mark.parametrize(
    ("reason", "exit_code", "advice"), [("http_403", EXIT_USAGE, "scope"), ("foreign_next", EXIT_INCOMPLETE, "deploy")]
)
def test_the_advice_on_a_roster_fits_its_reason(reason: str, exit_code: int, advice: str) -> None:
    walked = RosterSearch("Practitioner", "active", "true", False, reason, 3, datetime.now(UTC), None, 0, 0)
    line = judge_roster([People((), (), walked)])
    assert (line.ok, line.exit_code) == (False, exit_code)
    assert reason in line.what
    assert advice in line.next


# demo and sandbox


async def test_demo_from_an_empty_directory(directory: Path, database_dsn: str, database: asyncpg.Connection) -> None:
    """It ends in a command that works, and leaves the warehouse of the environment alone."""
    environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environ |= {"WAREHOUSE_DSN": database_dsn}

    async def shell(command: str) -> Finished:
        process = await asyncio.create_subprocess_shell(
            command, env=environ, cwd=directory, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, err = await process.communicate()
        return Finished(process.returncode, out.decode(), err.decode())

    try:
        first = await shell(f"{SCRIPT} demo --messages 500")
        assert first.code == EXIT_OK, first.err
        assert "500 served: 500 new, 0 changed" in first.out
        assert "canvas.live_message by direction" in first.out
        go_on = first.out.splitlines()[-1].strip()
        counted = await shell(f"{go_on} -A -t -c 'TABLE canvas.freshness' | cut -d '|' -f 6")
        assert counted.out == "500\n", counted.err
        again = await shell(f"{SCRIPT} demo --messages 500")
        assert "0 new, 0 changed" in again.out
    finally:
        removed = await shell(f"WAREHOUSE_DSN= WAREHOUSE_DIR=.warehouse-demo {SCRIPT} warehouse remove --yes")
    assert removed.out == "removed\n"
    assert await database.fetchval("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'canvas%'") == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_sandbox_says_where_it_is_and_stops_cleanly(number: signal.Signals) -> None:
    process = await start_command({}, "sandbox", "--port", "0", "--messages", "50", "--edition", "current")
    assert process.stdout is not None
    said = ""
    while "Ctrl-C" not in said:
        line = await process.stdout.readline()
        assert line, "it ended before it began"
        said += line.decode()
    url = re.search(r"^  export CANVAS_FHIR_URL=(http://127\.0\.0\.1:\d+)$", said, re.MULTILINE)
    assert url, said
    async with aiohttp.ClientSession() as session, session.get(f"{url[1]}/metadata") as answer:
        assert answer.status == 200
    process.send_signal(number)
    out, err = await process.communicate()
    assert (process.returncode, out, err) == (EXIT_OK, b"", b"")


async def test_a_port_that_is_taken_is_named(server: SandboxServer) -> None:
    port = server.url.rpartition(":")[2]
    finished = await run_command({}, "sandbox", "--port", port, "--messages", "1")
    assert finished.code == EXIT_USAGE
    assert f"Port {port}" in finished.err
    assert "Next: " in finished.err


@pytest.mark.parametrize(
    "arguments",
    [
        "sandbox --messages 0",
        "sandbox --practitioners 0",
        "sandbox --patients -1",
        "sandbox --latency-ms -1",
        "sandbox --port 65536",
        "sandbox --edition newest",
        "demo --messages 0",
    ],
)
async def test_a_number_that_cannot_be_is_refused(arguments: str, directory: Path) -> None:
    finished = await run_command({}, *arguments.split(), directory=directory)
    assert finished.code == EXIT_USAGE
    assert arguments.split()[1] in finished.err
    assert not any(directory.iterdir())  # noqa: ASYNC240 - nothing else runs on this loop


# Signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_sync_that_is_told_to_stop_is_taken_up_again(
    number: signal.Signals, database_dsn: str, database: asyncpg.Connection
) -> None:
    going_on = asyncio.Event()
    walked: list[tuple[str, str]] = []

    @web.middleware
    async def stall(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer three searches, and keep the others waiting."""
        person = [(side, request.query[side]) for side in ("recipient", "sender") if side in request.query]
        if len(walked) == 3 and person:
            await going_on.wait()
        walked.extend(person)
        return await handler(request)

    async def three_are_accepted() -> bool:
        if await database.fetchval("SELECT to_regclass('canvas_ops.search')") is None:
            return False
        return bool(await database.fetchval(ACCEPTED) == 3)

    async with SandboxServer(make_clinic(messages=60, practitioners=4, patients=10), middlewares=[stall]) as server:
        variables = environment(server.url, database_dsn, MIRROR_CONCURRENCY="1")
        process = await start_command(variables, "sync")
        await until(three_are_accepted)
        process.send_signal(number)
        out, err = await process.communicate()
        assert (process.returncode, out) == (EXIT_SIGNAL, b"")
        assert b"Interrupted." in err
        assert b"  Next: The same command takes it up again." in err
        assert await database.fetchval("SELECT outcome FROM canvas_ops.run") is None
        done_before = set(walked)
        walked.clear()
        walked.append(("the first", "is walked anew"))  # so that the count is never three again
        going_on.set()
        finished = await run_command(variables, "sync")
        assert finished.code == EXIT_OK, finished.err
        assert "resumed): complete" in finished.out
        assert not done_before & set(walked)
        assert await database.fetchval("SELECT count(*) FROM canvas_ops.run") == 1
        assert await ids_of(database) == {one["id"] for one in server.clinic}


ACCEPTED = "SELECT count(*) FROM canvas_ops.search WHERE status = 'accepted' AND resource = 'Communication'"
