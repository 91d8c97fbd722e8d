"""The command line as it is typed: the embedded server, migrate, status, demo, sandbox, signals."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import aiohttp
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from tests.faults.faults_moment import documented_refusal
from tests.integration.mirroring import (
    CHECKOUT,
    Finished,
    environment,
    ids_of,
    mirror_settings,
    run_command,
    start_command,
    until,
)
from tests.integration.verdicts import assert_told
from worker.cli import progress_bar
from worker.cli.progress_bar import progress_report
from worker.errors import EXIT_INCOMPLETE, EXIT_LOCKED, EXIT_OK, EXIT_SIGNAL, EXIT_USAGE, EXIT_WAREHOUSE
from worker.jobs.run import claims
from worker.jobs.sync import sync
from worker.load.postgres.database import open_warehouse
from worker.load.run_lock import run_lock
from worker.sandbox.population import make_clinic
from worker.sandbox.sandbox_server import SandboxServer
from worker.settings import FIRST_PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg
    from aiohttp.typedefs import Handler

README = Path(__file__).parents[2].joinpath("README.md").read_text(encoding="utf-8")
SCRIPT = Path(sys.executable).parent / "message-mirror"


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
        for command in ("psql", "dsn"):
            nowhere = await warehouse(command)
            assert_told(
                nowhere, EXIT_WAREHOUSE, f"There is no embedded PostgreSQL in {directory / 'pg'}", "WAREHOUSE_DIR"
            )
        nowhere = await run_command({"WAREHOUSE_DIR": str(directory / "pg")}, "status")
        assert_told(nowhere, EXIT_WAREHOUSE, "There is no embedded PostgreSQL in", "WAREHOUSE_DIR")
        assert not (directory / "pg").exists()
        started = await warehouse("start")
        assert started.code == EXIT_OK, started.err
        assert started.out.startswith("postgresql://")
        assert (await warehouse("dsn")).out == started.out
        asked = await warehouse("psql", "-A", "-t", "-c", "SELECT 1 + 1")
        assert (asked.code, asked.out) == (EXIT_OK, "2\n")
        assert (await warehouse("psql", "-c", "SELECT nonsense")).code == 1
        who = await warehouse("psql", "-A", "-t", "-c", "SELECT current_user, current_setting('search_path')")
        assert who.out == "pg_read_all_data|canvas,public\n"
        refused = await warehouse("psql", "-c", "CREATE TABLE public.mine (n int)")
        assert "permission denied" in refused.err
        written = await warehouse("psql", "-c", "SET ROLE NONE; CREATE TABLE public.mine (n int)")
        assert written.code == EXIT_OK, written.err
        assert (await warehouse("psql", "-A", "-t", "-c", "TABLE mine")).code == EXIT_OK
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
    assert "applied sql/schema.sql" in applied.out
    assert applied.out.endswith("Schema north is up to date.\n")
    assert await database.fetchval("SELECT to_regclass('north.message')") == "north.message"
    assert (await run_command(variables, "migrate")).out == "Schema north is up to date.\n"
    assert (await run_command(variables, "migrate", "--print")).out.startswith("-- Schema north is up to date")
    assert await database.fetchval("SELECT to_regclass('canvas.message')") is None


async def test_status_before_and_after_a_run(server: SandboxServer, database_dsn: str) -> None:
    variables = environment(server.url, database_dsn)
    early = await run_command(variables, "status")
    assert_told(
        early, EXIT_WAREHOUSE, "Schema canvas is not there, in the database that WAREHOUSE_DSN names.", "migrate`"
    )
    assert (await run_command(variables, "sync")).code == EXIT_OK
    status: dict[str, Any] = json.loads((await run_command(variables, "status", "--json")).out)
    assert status["schema"] == "canvas"
    assert status["freshness"]["messages"] == 60
    (run,) = status["runs"]
    assert (run["job"], run["outcome"], run["entries"], run["new"], run["unchanged"]) == ("sync", "complete", 60, 60, 0)
    assert run["requests"] >= run["searches"]
    assert run["seconds"] > 0
    assert {"last_verified_as_of", "settled_at", "last_replayed_at"} <= status["freshness"].keys()
    assert status["under_way"] is None
    assert status["quarantine"] == []
    assert datetime.fromisoformat(status["freshness"]["as_of"]).utcoffset() == timedelta()
    assert "T" in status["runs"][0]["started_at"]
    assert 0 < status["freshness"]["age"] < 3600
    assert all(f"`{key}`" in README for key in status)
    shown = await run_command(variables, "status")
    assert shown.code == EXIT_OK
    assert "60 messages, 0 deleted" in shown.out


async def test_status_between_an_upgrade_and_its_first_run(database_dsn: str, database: asyncpg.Connection) -> None:
    """It says how far the schema is behind and who is at work, since migrate sends to it whoever has to wait."""
    variables = environment("http://127.0.0.1:1", database_dsn)
    assert (await run_command(variables, "migrate")).code == EXIT_OK
    await database.execute("UPDATE canvas_ops.migration SET checksum = 'old' WHERE name = 'views/quality'")
    async with open_warehouse(database_dsn, "canvas", FIRST_PATIENCE) as warehouse, run_lock(warehouse, "sync"):
        held = await run_command(variables, "status")
        assert_told(held, EXIT_WAREHOUSE, "1 file of sql/ behind", f"sync {socket.gethostname()}:{os.getpid()} since")
        assert "Wait for that run to end" in held.err
        assert (await run_command(variables, "migrate")).code == EXIT_LOCKED
    free = await run_command(variables, "status")
    assert_told(free, EXIT_WAREHOUSE, "1 file of sql/ behind", "Safe: Nothing was changed.")
    assert "lock" not in free.err


@pytest.mark.parametrize("command", ["status", "migrate", "replay", "check"])
async def test_no_warehouse_is_made_up_for_who_names_none(command: str, directory: Path) -> None:
    """Typed outside of the service's environment it would start an empty server, and say that the schema is gone."""
    finished = await run_command({}, command, directory=directory)
    assert finished.code == EXIT_USAGE
    assert "no warehouse is named" in finished.out + finished.err
    assert not any(directory.iterdir())  # noqa: ASYNC240 - nothing else runs on this loop


async def test_status_tells_a_mirror_that_is_too_old(
    server: SandboxServer, database_dsn: str, database: asyncpg.Connection
) -> None:
    """By its exit code, as monitoring wants it, and in words; what it shows stays what it is."""
    variables = environment(server.url, database_dsn)
    assert (await run_command(variables, "migrate")).code == EXIT_OK
    none_yet = await run_command(variables, "status", "--max-age", "26h")
    assert_told(none_yet, EXIT_INCOMPLETE, "No full run was complete yet.", "message-mirror sync")
    assert (await run_command(variables, "sync", "--quick")).code == EXIT_OK
    assert (await run_command(variables, "status", "--max-age", "26h")).code == EXIT_INCOMPLETE
    assert (await run_command(variables, "sync")).code == EXIT_OK
    assert (await run_command(variables, "status", "--max-age", "26h")).code == EXIT_OK
    await database.execute("UPDATE canvas_ops.run SET as_of = as_of - interval '27 hours'")
    old = await run_command(variables, "status", "--max-age", "26h", "--json")
    assert_told(old, EXIT_INCOMPLETE, "began longer ago than --max-age: 1 day, 3:")
    assert json.loads(old.out)["freshness"]["age"] > 27 * 3600
    assert (await run_command(variables, "status", "--max-age", "2d")).code == EXIT_OK
    assert_told(await run_command(variables, "status", "--max-age", "old"), EXIT_USAGE, "--max-age")


async def test_status_shows_how_far_a_run_is(database_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its figures grow while it runs, and the last run says how much is still to come."""
    monkeypatch.setattr(claims, "NOTE_EVERY_S", 0.01)
    going_on, stalling = asyncio.Event(), False

    @web.middleware
    async def stall(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer what is on a first page, and keep the rest waiting."""
        if stalling and "_offset" in request.query:
            await going_on.wait()
        return await handler(request)

    async def shown() -> dict[str, Any]:
        found: dict[str, Any] = json.loads((await run_command(variables, "status", "--json")).out)
        return found["under_way"] or {"searches_done": 0, "requests": 0}

    async def is_far() -> bool:
        under_way = await shown()
        return bool(under_way["searches_done"] > 3 and under_way["requests"] > 10)

    clinic = make_clinic(messages=600, practitioners=6, patients=10)
    async with SandboxServer(clinic, middlewares=[stall]) as server:
        variables = environment(server.url, database_dsn)
        settings = mirror_settings(server.url, database_dsn)
        await sync(settings)
        stalling = True
        running = asyncio.create_task(sync(settings))
        await until(is_far)
        under_way = await shown()
        said = (await run_command(variables, "status")).out
        going_on.set()
        await running
    assert (under_way["run_id"], under_way["job"], under_way["outcome"]) == (2, "sync", None)
    assert 3 < under_way["searches_done"] < under_way["searches"] == 2 * 6 + 2
    assert 0 < under_way["entries"] < under_way["expected_entries"] == 600
    assert under_way["remaining_seconds"] is None or under_way["remaining_seconds"] >= 0
    assert "Run 2 (sync, full) is under way for 0:0" in said


async def test_a_run_is_one_json_document(database_dsn: str) -> None:
    """`sync --json` and `backfill --json`: the row of `status --json`, why it was not complete, and what to type."""
    clinic, failing = make_clinic(messages=120, practitioners=4, patients=10), False

    @web.middleware
    async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
        return documented_refusal(400) if failing and "recipient" in request.query else await handler(request)

    async with SandboxServer(clinic, middlewares=[refuse]) as server:
        variables = environment(server.url, database_dsn)
        first = await run_command(variables, "sync", "--json")
        run = json.loads(first.out)
        (row,) = json.loads((await run_command(variables, "status", "--json")).out)["runs"]
        assert first.code == EXIT_OK
        assert run.items() >= row.items()
        assert (run["new"], run["reasons"], run["next"], run["resumed"]) == (120, {}, [], False)
        some = json.loads((await run_command(variables, "backfill", "--since", "2023-01-01", "--json")).out)
        assert some["outside"] > 0
        assert some["outside"] + some["unchanged"] == some["entries"]
        failing = True
        failed = await run_command(variables, "sync", "--json")
        run = json.loads(failed.out)
        assert (failed.code, run["outcome"], run["reasons"]) == (EXIT_INCOMPLETE, "incomplete", {"http_400": 4})
        assert any("message-mirror sync" in step for step in run["next"])
        estimate = json.loads((await run_command(variables, "backfill", "--dry-run", "--json")).out)
        assert estimate["searches"] > 0
    assert all(f"`{name}`" in README for name in run)


async def test_the_log_of_an_incomplete_run_is_one_to_alarm_on(database_dsn: str) -> None:
    """Its last line is a warning, with why, how long and what was deleted; its figures have one vocabulary."""

    @web.middleware
    async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
        return documented_refusal(400) if "sender" in request.query else await handler(request)

    async with SandboxServer(make_clinic(messages=60, practitioners=3, patients=5), middlewares=[refuse]) as server:
        variables = environment(server.url, database_dsn, MIRROR_LOG="json")
        finished = await run_command(variables, "sync")
    lines = [json.loads(line) for line in finished.err.splitlines()]
    (closed,) = [line for line in lines if line["event"] == "run closed"]
    assert (closed["level"], closed["reasons"], closed["deleted"]) == ("warning", ["http_400"], 0)
    assert closed["seconds"] > 0
    assert closed["entries"] == closed["new"] + closed["changed"] + closed["unchanged"] + closed["outside"]


async def test_each_line_of_progress_names_its_run(database_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_bar, "LOG_EVERY_S", 0.0)
    monkeypatch.setenv("MIRROR_LOG", "json")
    async with SandboxServer(make_clinic(messages=60, practitioners=3, patients=5)) as server:
        with progress_report() as report, capture_logs() as logs:
            result = await sync(mirror_settings(server.url, database_dsn), report)
    assert {log["run_id"] for log in logs if log["event"] == "progress"} == {result.run_id}


# demo and sandbox


@pytest.mark.proof  # by `make test-proofs`: ten processes, and a server of their own
async def test_demo_from_an_empty_directory(directory: Path, database_dsn: str, database: asyncpg.Connection) -> None:
    """It ends in a command that works, and leaves the warehouse of the environment alone.

    Another clinic, or a demo that runs already, ends in what to type about the demo, not about the reader's own mirror.
    """
    environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environ |= {"WAREHOUSE_DSN": database_dsn}

    async def shell(command: str) -> Finished:
        process = await asyncio.create_subprocess_shell(
            command, env=environ, cwd=directory, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, err = await process.communicate()
        return Finished(process.returncode, out.decode(), err.decode())

    try:
        first = await shell(f"PGSSLMODE=verify-full PGTARGETSESSIONATTRS=standby {SCRIPT} demo --messages 500")
        assert first.code == EXIT_OK, first.err
        assert "500 served: 500 new, 0 changed" in first.out
        assert "canvas.live_message by direction" in first.out
        go_on = first.out.splitlines()[-1].strip()
        counted = await shell(f"{go_on} -A -t -c 'TABLE freshness' | cut -d '|' -f 6")
        assert counted.out == "500\n", counted.err
        current = "SELECT DISTINCT status FROM message WHERE status = 'completed'"
        edition = await shell(f'{go_on} -A -t -c "{current}"')
        assert edition.out == "completed\n", "the edition that the sandbox serves by default, too"
        again = await shell(f"{SCRIPT} demo --messages 500")
        assert "0 new, 0 changed" in again.out
        another = await shell(f"{SCRIPT} demo --messages 500 --seed 2")
        assert another.code == EXIT_USAGE
        assert "holds another made-up clinic" in another.err
        assert f"`{go_on.removesuffix('psql')}remove`" in another.err
        dsn = (await shell(f"{go_on.removesuffix('psql')}dsn")).out.strip()
        async with open_warehouse(dsn, "canvas", FIRST_PATIENCE) as warehouse, run_lock(warehouse, "sync"):
            second = await shell(f"{SCRIPT} demo --messages 500")
        assert second.code == EXIT_LOCKED
        assert "message-mirror status" not in second.err
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


async def test_a_command_that_crashes_leaves_no_memory_in_a_file() -> None:
    """Whatever the limit was where it was started."""
    script = 'ulimit -c unlimited; exec "$0" -m worker sandbox --port 0 --messages 1'
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", script, sys.executable),
        env={"PATH": os.environ["PATH"]},
        cwd=CHECKOUT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    await process.stdout.readline()
    limits = Path(f"/proc/{process.pid}/limits").read_text(encoding="ascii")  # noqa: ASYNC240 - it is in memory
    process.send_signal(signal.SIGABRT)
    await process.communicate()
    assert process.returncode == -signal.SIGABRT
    assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE), limits


async def test_a_port_that_is_taken_is_named(server: SandboxServer) -> None:
    port = server.url.rpartition(":")[2]
    finished = await run_command({}, "sandbox", "--port", port, "--messages", "1")
    assert finished.code == EXIT_USAGE
    assert f"Port {port}" in finished.err
    assert "Next: " in finished.err


@pytest.mark.parametrize(
    "arguments",
    [
        "sandbox --messages none",
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
        assert b"  Next: The same command resumes it." in err
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


# Logs


@pytest.mark.parametrize(
    ("variables", "error", "code"),
    [
        ({"CANVAS_FHIR_URL": "junk"}, "SettingsError", EXIT_USAGE),
        ({"WAREHOUSE_DSN": "postgresql://127.0.0.1:1/x", "MIRROR_PATIENCE": "0.1s"}, "WarehouseAway", EXIT_WAREHOUSE),
    ],
)
async def test_a_log_that_a_program_reads_says_how_a_command_failed(
    variables: dict[str, str], error: str, code: int
) -> None:
    """The words for people are in its line; on a console they are all there is."""
    finished = await run_command(variables | {"MIRROR_LOG": "json"}, "status")
    assert finished.code == code
    *_, last = [json.loads(line) for line in finished.err.splitlines()]
    assert last.pop("timestamp")
    on_console = await run_command(variables, "status")
    assert on_console.err.endswith(f"{last.pop('what')}\n  Safe: {last.pop('safe')}\n  Next: {last.pop('next')}\n")
    assert last == {"event": "the command failed", "level": "error", "error": error, "exit_code": code}


@pytest.mark.parametrize(
    "arguments",
    ["", "sinc", "sync --quik", "backfill --since yesterday", "backfill --patients-file /no/such", "sync x"],
)
async def test_what_was_typed_wrongly_is_a_json_line_too(arguments: str) -> None:
    finished = await run_command({"MIRROR_LOG": "json"}, *arguments.split())
    (line,) = finished.err.splitlines()
    told = json.loads(line)
    assert (finished.code, told["exit_code"], told["error"]) == (EXIT_USAGE, EXIT_USAGE, "UsageError")
    assert told["what"]
    assert told["next"].endswith("--help")


@pytest.mark.parametrize("signals", [1, 2])
async def test_a_command_that_is_stopped_is_a_json_line_too(signals: int, database_dsn: str) -> None:
    """Be it while a job runs, or at any other time."""
    process = await start_command(environment("http://127.0.0.1:1", database_dsn, MIRROR_LOG="json"), "sync")
    for _ in range(signals):
        process.send_signal(signal.SIGTERM)
    _, err = await process.communicate()
    lines = [json.loads(line) for line in err.decode().splitlines()]
    assert process.returncode in {EXIT_SIGNAL, -signal.SIGTERM}
    assert all(line["event"] for line in lines)


async def test_a_service_says_what_to_do_in_its_json_lines(database_dsn: str) -> None:
    """Nothing else is on its stderr."""
    variables = environment("http://127.0.0.1:1", database_dsn.replace("@", "nobody@"), MIRROR_LOG="json")
    process = await start_command(variables, "serve")
    assert process.stderr is not None
    told = json.loads(await process.stderr.readline())
    process.terminate()
    _, err = await process.communicate()
    assert (told["event"], told["level"]) == ("the leader lock cannot be had", "warning")
    assert told["what"]
    assert told["next"]
    assert err == b""
