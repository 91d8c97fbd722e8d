"""`serve`: a sync whenever it is due, one at a time, whatever became of the last one, until somebody says stop."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import signal
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from tests.faults.faults_moment import documented_refusal
from tests.integration.mirroring import CHECKOUT, environment, ids_of, message, mirror_settings, start_command, until
from tests.integration.nights import Often, Once, stop, until_said
from worker.errors import EXIT_OK, EXIT_USAGE, AccessRefused, MirrorError, RunLocked, SourceAway, WarehouseAway
from worker.jobs.replay import replay
from worker.jobs.status import status
from worker.jobs.sync import sync
from worker.load.postgres import lock
from worker.sandbox.population import make_clinic
from worker.sandbox.sandbox_server import SandboxServer
from worker.service import leader, schedule
from worker.service.leader import Leader
from worker.service.schedule import ATTEMPTS_MAX, RETRY_AFTER_S, serve
from worker.telemetry import ALLOWED_FIELDS

if TYPE_CHECKING:
    from pathlib import Path

    import asyncpg
    from aiohttp.typedefs import Handler

    from worker.settings import Settings

NO_SOURCE = "http://127.0.0.1:1"
STANDING_BY = b"another serve leads, standing by until it is gone"
CUT = (
    "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
    " WHERE datname = current_database() AND application_name LIKE 'message-mirror serve %'"
)
LEADERS = (
    "SELECT array_agg(a.application_name) FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid"
    " WHERE l.locktype = 'advisory' AND l.granted AND a.datname = current_database()"
)


@pytest.fixture
def settings(database_dsn: str) -> Settings:
    """Give the settings of a service with a warehouse, whose source nobody asks."""
    return mirror_settings(NO_SOURCE, database_dsn)


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(leader, "LOOK_EVERY_S", 0.1)


async def test_a_sync_is_started_when_it_is_due(database_dsn: str, database: asyncpg.Connection) -> None:
    clinic = make_clinic(messages=50, practitioners=3, patients=8)
    done = asyncio.Event()

    async def once(settings: Settings) -> None:
        await sync(settings)
        done.set()

    async with SandboxServer(clinic) as server:
        service = asyncio.create_task(serve(mirror_settings(server.url, database_dsn), once, schedule=Once()))
        await done.wait()
        await stop(service)
    assert await ids_of(database) == {one["id"] for one in clinic}


async def test_a_night_that_was_not_complete_says_why(database_dsn: str) -> None:
    """The log holds each reason in the runbook's words, and so does the status, also after a run without searches."""
    clinic, failing = make_clinic(messages=150, practitioners=4, patients=10), False

    @web.middleware
    async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
        refused = failing and request.query.get("recipient", "").startswith("Practitioner/")
        return documented_refusal(400) if refused else await handler(request)

    async with SandboxServer(clinic, middlewares=[refuse]) as server:
        settings = mirror_settings(server.url, database_dsn)
        await sync(settings)
        for one in [one for one in clinic if one["sender"]["reference"].startswith("Practitioner/")][:60]:
            clinic.remove(one["id"])
        sender = {"reference": next(iter(clinic.practitioners.values())).reference}
        for number in range(11):
            clinic.put(message(f"bad-{number}", sent="2024-02-30T10:00:00Z", sender=sender))
        failing = True
        with capture_logs() as lines:
            service = asyncio.create_task(serve(settings, schedule=Once()))
            while "quarantine" not in [line.get("reason") for line in lines]:  # noqa: ASYNC110 - the log is what we wait for
                await asyncio.sleep(0.01)
            await stop(service)
        await replay(settings)
        shown = await status(settings)
    said = [line for line in lines if line["event"] == "the sync was not complete"]
    assert {line["outcome"] for line in said} == {"incomplete"}
    assert all(line.keys() <= ALLOWED_FIELDS | {"log_level"} for line in said)
    counted = {line["reason"]: line.get("searches") or line.get("messages") or line["quarantined"] for line in said}
    assert (counted["http_400"], counted["too_many"], counted["quarantine"]) == (4, 60, 11)
    steps = {line["reason"]: line["next"] for line in said}
    assert steps["too_many"].endswith("message-mirror sync --accept-deletions.")
    assert steps["quarantine"].startswith("message-mirror status")
    assert {row["reason"]: row["searches"] for row in shown["not_accepted"]} == {
        "http_400": 4,
        "too_many_missing": counted["too_many_missing"],
    }


@pytest.mark.parametrize(
    ("failure", "logged"),
    [
        (
            AccessRefused("Its words.", next="Mend it."),
            {"event": "the sync failed", "error": "AccessRefused", "exit_code": EXIT_USAGE},
        ),
        (ValueError("my chest hurts"), {"event": "the sync failed unexpectedly"}),
    ],
)
async def test_a_failing_run_is_logged_and_the_next_one_starts(
    failure: Exception, logged: dict[str, object], settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log takes the kind; a person who reads stderr finds the words of our own errors, and of no others."""
    runs = 0
    second = asyncio.Event()

    async def fail(_settings: Settings) -> None:
        nonlocal runs
        runs += 1
        if runs == 2:
            second.set()
        raise failure

    with capture_logs() as lines:
        service = asyncio.create_task(serve(settings, fail, schedule=Often()))
        await second.wait()
        await stop(service)
    errors = [line for line in lines if line["log_level"] == "error"]
    assert len(errors) >= 2
    for line in errors:
        assert logged.items() <= line.items()
        assert "chest" not in str(line)
    err = capsys.readouterr().err
    assert ("Its words.\n  Next: Mend it.\n" in err) is isinstance(failure, MirrorError)
    assert "chest" not in err


class Nights:
    """Runs that fail with these errors, one after the other, and then one that is `over` without any."""

    def __init__(self, *failures: MirrorError) -> None:
        self.over = asyncio.Event()
        self._failures = list(failures)

    async def run(self, _settings: Settings) -> None:
        """Run the next one."""
        if self._failures:
            raise self._failures.pop(0)
        self.over.set()


@pytest.mark.parametrize("failure", [SourceAway("away"), WarehouseAway("away"), RunLocked("locked")])
async def test_an_outage_is_tried_again_until_it_is_over(failure: MirrorError, settings: Settings) -> None:
    """A night that source, warehouse or another run kept from its end begins again, without anybody's doing."""
    nights = Nights(failure, failure)
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    service = asyncio.create_task(serve(settings, nights.run, schedule=Once(), sleep=wait))
    await nights.over.wait()
    await stop(service)
    assert waits == [RETRY_AFTER_S] * 2


class Unwritable(io.StringIO):
    """A stderr whose reader has gone."""

    def write(self, _text: str) -> int:
        """Write nothing."""
        raise BrokenPipeError


async def test_an_outage_is_tried_again_although_nobody_can_be_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights = Nights(SourceAway("away"))

    async def wait(_seconds: float) -> None:
        await asyncio.sleep(0)

    with capture_logs():
        monkeypatch.setattr(sys, "stderr", Unwritable())
        service = asyncio.create_task(serve(settings, nights.run, schedule=Once(), sleep=wait))
        await nights.over.wait()
        await stop(service)


async def test_a_night_that_ends_in_an_error_of_ours_is_logged(settings: Settings) -> None:
    """Wherever it arises; and without its words."""

    async def run(_settings: Settings) -> None:
        raise SourceAway("away")

    async def wait(_seconds: float) -> None:
        raise ValueError("my chest hurts")

    with capture_logs() as lines:
        service = asyncio.create_task(serve(settings, run, schedule=Once(), sleep=wait))
        while "the night ended in an error" not in [line["event"] for line in lines]:  # noqa: ASYNC110 - the log is what we wait for
            await asyncio.sleep(0)
        await stop(service)
    assert "chest" not in str(lines)


# What `serve` is, but the sync is due at once and waits for a line of stdin.
SERVE_WHEN_TOLD = """
import asyncio, sys
from datetime import UTC, datetime, timedelta
from worker.jobs.sync import sync
from worker.cli.process import run_command, run_job
from worker.service.schedule import serve
from worker.settings import read_settings
from worker.telemetry import configure_logging

class Once:
    at = None
    def after(self, instant):
        self.at = self.at or instant + timedelta(milliseconds=1)
        return self.at if instant < self.at else datetime.max.replace(tzinfo=UTC)

async def run(settings):
    await asyncio.to_thread(sys.stdin.readline)
    await sync(settings)

def command():
    configure_logging()
    run_job(serve(read_settings(), run, schedule=Once()))

run_command(command)
"""


async def test_a_service_whose_log_is_read_no_more_goes_on_syncing(
    database_dsn: str, database: asyncpg.Connection
) -> None:
    """Somebody read its stderr and went away: a log line that cannot be written stops no sync."""
    clinic = make_clinic(messages=50, practitioners=3, patients=8)
    reading_end, writing_end = os.pipe()

    async def is_mirrored_or_over() -> bool:
        there = await database.fetchval("SELECT to_regclass('canvas.message')") is not None
        return process.returncode is not None or (there and len(await ids_of(database)) == 50)

    async with SandboxServer(clinic) as server:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", SERVE_WHEN_TOLD),
            env={"PATH": os.environ["PATH"], **environment(server.url, database_dsn)},
            cwd=CHECKOUT,
            stdin=asyncio.subprocess.PIPE,
            stderr=writing_end,
        )
        os.close(writing_end)
        said = b""
        while b"this serve leads" not in said:
            said += await asyncio.to_thread(os.read, reading_end, 65536)
        os.close(reading_end)
        assert process.stdin is not None
        process.stdin.write(b"\n")
        await until(is_mirrored_or_over)
        process.terminate()
        await process.wait()
    assert await ids_of(database) == {one["id"] for one in clinic}


async def test_an_outage_without_end_is_given_up(settings: Settings) -> None:
    """After so many starts the service waits for the next night."""
    starts = 0

    async def run(_settings: Settings) -> None:
        nonlocal starts
        starts += 1
        raise SourceAway("away")

    async def wait(_seconds: float) -> None:
        await asyncio.sleep(0)

    with capture_logs() as lines:
        service = asyncio.create_task(serve(settings, run, schedule=Once(), sleep=wait))
        while [line["event"] for line in lines].count("the sync failed") < ATTEMPTS_MAX:  # noqa: ASYNC110 - the log is what we wait for
            await asyncio.sleep(0)
        for _ in range(10):
            await asyncio.sleep(0)
        await stop(service)
    assert starts == ATTEMPTS_MAX


async def test_stopping_waits_for_a_run_to_give_back_what_it_holds(
    caplog: pytest.LogCaptureFixture, settings: Settings
) -> None:
    begun, told, given_back = asyncio.Event(), False, False

    async def hold(_settings: Settings) -> None:
        nonlocal told, given_back
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            told = True
            for _ in range(10):  # several awaits: a rollback, a lock, a pool
                await asyncio.sleep(0)
            given_back = True
            raise

    service = asyncio.create_task(serve(settings, hold, schedule=Once()))
    await begun.wait()
    await stop(service)
    assert told
    assert given_back
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_runs_that_are_due_while_another_goes_on_become_one_after_it(settings: Settings) -> None:
    """Never two at once: one sync makes up for all that were due meanwhile."""
    often, going_on, at_once, runs = Often(), asyncio.Event(), 0, 0
    second = asyncio.Event()

    async def slow(_settings: Settings) -> None:
        nonlocal at_once, runs
        at_once, runs = at_once + 1, runs + 1
        assert at_once == 1
        if runs == 2:
            second.set()
        await going_on.wait()
        at_once -= 1

    service = asyncio.create_task(serve(settings, slow, schedule=often))
    while not runs:  # noqa: ASYNC110 - the run sets no event that early
        await asyncio.sleep(0.005)
    for _ in range(20):
        await asyncio.sleep(0.005)
    assert runs == 1
    going_on.set()
    await second.wait()
    await stop(service)


async def test_stopping_while_nothing_runs_stops(settings: Settings) -> None:
    service = asyncio.create_task(serve(settings))
    with capture_logs() as lines:
        while len(lines) < 2:  # noqa: ASYNC110 - the log is what we wait for
            await asyncio.sleep(0)
    await stop(service)
    assert [line["event"] for line in lines] == ["this serve leads", "waiting for the next sync"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_command_stops_cleanly(number: signal.Signals, database_dsn: str) -> None:
    process = await start_command(environment(NO_SOURCE, database_dsn), "serve")
    assert process.stderr is not None
    assert b"this serve leads" in await process.stderr.readline()
    assert b"waiting for the next sync" in await process.stderr.readline()
    process.send_signal(number)
    out, err = await process.communicate()
    assert (process.returncode, out, err) == (EXIT_OK, b"", b"")


@pytest.mark.parametrize("cron", ["61 2 * * *", "a b c d e", "0 2 13 * 5"])
async def test_the_command_refuses_what_is_no_schedule(cron: str, database_dsn: str) -> None:
    process = await start_command(environment(NO_SOURCE, database_dsn, MIRROR_NIGHTLY=cron), "serve")
    _, err = await process.communicate()
    assert process.returncode == EXIT_USAGE
    assert b"MIRROR_NIGHTLY" in err
    assert b"Traceback" not in err


async def _line_with(process: asyncio.subprocess.Process, words: bytes) -> bytes:
    assert process.stderr is not None
    while words not in (line := await process.stderr.readline()):
        assert line, "the process ended"
    return line


async def test_of_two_services_one_leads(database_dsn: str) -> None:
    """The second says once who leads and stands by; when the first is killed, it leads, and stops as it should."""
    variables = environment(NO_SOURCE, database_dsn)
    first = await start_command(variables, "serve")
    await _line_with(first, b"waiting for the next sync")
    second = await start_command(variables, "serve")
    assert f":{first.pid} since ".encode() in await _line_with(second, STANDING_BY)
    first.kill()
    await first.communicate()
    assert b"this serve leads" in await second.stderr.readline()  # type: ignore[union-attr]
    await _line_with(second, b"waiting for the next sync")
    second.terminate()
    assert (*await second.communicate(), second.returncode) == (b"", b"", EXIT_OK)


async def test_why_the_lock_cannot_be_had_is_told_once(
    database_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What happened and what to do: before the first night, and again only when it is something else."""
    looks = asyncio.Semaphore(0)

    class Watched(Leader):
        async def leads(self) -> bool:
            try:
                return await super().leads()
            finally:
                looks.release()

    monkeypatch.setattr(leader, "LOOK_EVERY_S", 0.0)
    secret = tmp_path / "dsn"
    secret.write_text("hello")
    keeper = Watched(mirror_settings(NO_SOURCE, "", WAREHOUSE_DSN_FILE=str(secret)))
    with capture_logs() as logs:
        keeping = asyncio.create_task(keeper.keep())
        for _ in range(3):
            await looks.acquire()
        secret.write_text(urlsplit(database_dsn)._replace(netloc="no_such_role@").geturl())
        for _ in range(3):
            await looks.acquire()
        await stop(keeping)
    said = [(log["event"], log["log_level"], log["error"]) for log in logs]
    assert said == [("the leader lock cannot be had", "warning", "SettingsError")] * 2
    told = capsys.readouterr().err
    assert [told.count(words) for words in ("cannot be read as a URL", "SQLSTATE 28000", "Next: ")] == [1, 1, 2]


async def test_what_is_due_is_started_by_the_leader_only(settings: Settings) -> None:
    """Whoever stands by starts nothing; what was due meanwhile it makes up once it leads."""
    other, started = Leader(settings), asyncio.Event()

    async def run(_settings: Settings) -> None:
        started.set()

    assert await other.leads()
    with capture_logs() as lines:
        service = asyncio.create_task(serve(settings, run, schedule=Once()))
        await until_said(lines, STANDING_BY.decode())
        for _ in range(10):
            await asyncio.sleep(0.01)
        assert not started.is_set()
        await other.release()
        await started.wait()
        await stop(service)


async def test_a_leader_whose_lock_was_lost(
    settings: Settings, database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It leads on if nobody has the lock, and starts nothing more once another has it."""
    leader, other = Leader(settings), Leader(settings)
    assert await leader.leads()
    monkeypatch.setattr(lock, "socket", SimpleNamespace(gethostname=lambda: "elsewhere"))
    assert not await other.leads()
    assert await database.fetchval(CUT)
    await until(lambda: _noticed(leader))
    assert await leader.leads()
    assert len(await database.fetchval(LEADERS)) == 1

    assert await database.fetchval(CUT)
    await until(lambda: _noticed(leader))
    assert await other.leads()
    assert not await leader.leads()
    await other.release()
    assert await leader.leads()
    await leader.release()


async def _noticed(leader: Leader) -> bool:
    return bool(vars(vars(leader)["_lock"])["_connection"].is_closed())
