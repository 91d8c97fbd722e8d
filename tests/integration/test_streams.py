"""A stdout or stderr that cannot be written changes neither what a command does nor, for a job, how it ends."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

import pytest

from tests.integration.mirroring import CHECKOUT, Finished, environment, ids_of, run_command
from tests.integration.verdicts import assert_told
from worker.errors import EXIT_INCOMPLETE, EXIT_OK, EXIT_USAGE
from worker.sandbox.population import make_clinic
from worker.sandbox.sandbox_server import SandboxServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

UNREADABLE = {"WAREHOUSE_DSN": "mysql://warehouse"}
# What a shell makes of stdout: a full disk, nothing at all, a pipe whose reader has gone.
FULL, CLOSED, UNREAD = ">/dev/full", ">&-", "| true"


@pytest.fixture
async def server() -> AsyncIterator[SandboxServer]:
    async with SandboxServer(make_clinic(messages=60, practitioners=4, patients=10)) as started:
        yield started


async def redirected(variables: dict[str, str], command: str, redirection: str) -> Finished:
    """Run `python -m worker …` with a redirection of bash's; the exit code is the command's, not the pipe's."""
    script = f'"$0" -m worker {command} {redirection}; exit "${{PIPESTATUS[0]}}"'
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", script, sys.executable),
        env={"PATH": os.environ["PATH"], **variables},
        cwd=CHECKOUT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return Finished(process.returncode, out.decode(), err.decode())


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-", "2> >(true)", "<&- >&- 2>&-"])
async def test_a_sync_whose_log_cannot_be_written_mirrors_all_the_same(
    redirection: str, server: SandboxServer, database_dsn: str, database: asyncpg.Connection
) -> None:
    finished = await redirected(environment(server.url, database_dsn), "sync", redirection)
    assert finished.code == EXIT_OK
    assert await ids_of(database) == {one["id"] for one in server.clinic}


async def test_what_is_well_and_what_is_not_are_told_apart_in_every_encoding(
    server: SandboxServer, database_dsn: str
) -> None:
    latin = {"PYTHONIOENCODING": "latin-1", "MIRROR_NIGHTLY": "0 2 31 2 *"}
    finished = await run_command(environment(server.url, database_dsn) | latin, "check")
    lines = finished.out.splitlines()
    assert lines[0].startswith("failed MIRROR_NIGHTLY is never due")
    assert "ok the source answers, and lets this client search for messages" in lines
    assert finished.code == EXIT_USAGE


@pytest.mark.parametrize("redirection", ["<&-", "</dev/null"])
async def test_a_closed_stdin_names_nobody_as_an_empty_one(redirection: str, database_dsn: str) -> None:
    variables = environment("http://127.0.0.1:1", database_dsn)
    finished = await redirected(variables, "backfill --patients-file -", redirection)
    assert_told(finished, EXIT_USAGE, "names nobody")


async def test_a_failure_that_cannot_be_told_keeps_its_exit_code() -> None:
    assert (await redirected(UNREADABLE, "status", "2>/dev/full")).code == EXIT_USAGE
    assert (await redirected({}, "no-such-command", "2>&-")).code == EXIT_USAGE


@pytest.mark.parametrize("redirection", [FULL, CLOSED])
async def test_a_job_whose_result_cannot_be_written_ends_as_it_did_and_says_so(
    redirection: str, server: SandboxServer, database_dsn: str, database: asyncpg.Connection
) -> None:
    variables = environment(server.url, database_dsn)
    for command in ("sync", "check", "verify --json", "replay"):
        finished = await redirected(variables, command, redirection)
        assert finished.code == EXIT_OK, finished.err
        assert finished.err.count("stdout could not be written") == 1
        assert "A defect" not in finished.err
    assert await database.fetchval("SELECT count(*) FROM canvas_ops.run WHERE outcome = 'complete'") >= 2


@pytest.mark.parametrize("redirection", [FULL, CLOSED])
@pytest.mark.parametrize("command", ["status", "status --json", "migrate --print"])
async def test_a_command_that_only_shows_something_has_failed_if_it_cannot(
    command: str, redirection: str, database_dsn: str
) -> None:
    variables = {"WAREHOUSE_DSN": database_dsn}
    assert (await run_command(variables, "migrate")).code == EXIT_OK
    finished = await redirected(variables, command, redirection)
    assert finished.code == EXIT_INCOMPLETE
    assert "stdout could not be written" in finished.err
    assert "A defect" not in finished.err


@pytest.mark.parametrize("command", ["status", "check", "sync", "--help"])
async def test_a_reader_that_goes_away_is_no_failure(command: str, server: SandboxServer, database_dsn: str) -> None:
    variables = environment(server.url, database_dsn)
    assert (await run_command(variables, "sync")).code == EXIT_OK
    finished = await redirected(variables, command, UNREAD)
    assert finished.code == EXIT_OK
    assert "written" not in finished.err
    assert "library" not in finished.err
    assert "A defect" not in finished.err


async def test_what_an_encoding_has_no_sign_for_is_replaced() -> None:
    finished = await redirected({"PYTHONIOENCODING": "latin-1"}, "--help", "")
    assert (finished.code, finished.err) == (EXIT_OK, "")
    assert "Mirror patient?practitioner messages" in finished.out
