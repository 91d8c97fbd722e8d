"""A night in which no sync began is made up at once, whatever slept, jumped, was down or died."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from tests.integration.mirroring import mirror_settings
from tests.integration.nights import At, Once, stop, until_said
from worker.errors import WarehouseAway
from worker.jobs.migrate import upgrade
from worker.load.postgres.database import open_warehouse
from worker.load.report import LastSync
from worker.load.run_lock import run_lock
from worker.service import leader, schedule
from worker.service.schedule import serve
from worker.settings import FIRST_PATIENCE

if TYPE_CHECKING:
    import asyncpg

    from worker.service.cron import Schedule
    from worker.settings import Settings


@pytest.fixture
def settings(database_dsn: str) -> Settings:
    """Give the settings of a service with a warehouse, whose source nobody asks."""
    return mirror_settings("http://127.0.0.1:1", database_dsn)


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(leader, "LOOK_EVERY_S", 0.1)


async def begin_sync(database: asyncpg.Connection, hours_ago: float, outcome: str | None = "complete") -> None:
    """Write into the ledger that a full sync began, and how it ended; None: it is open."""
    await database.execute(
        "INSERT INTO canvas_ops.run (job, scope, selection_key, version, started_at, held_since, closed_at, outcome)"
        " SELECT 'sync', 'full', 's', '0', at, at, CASE WHEN $2::text IS NOT NULL THEN at END, $2"
        " FROM (SELECT clock_timestamp() - $1 * interval '1 hour' AS at)",
        hours_ago,
        outcome,
    )


# The warehouse's clock, which a test cannot put forward.
HOURS_PASS = "UPDATE canvas_ops.run SET held_since = held_since - $1::int * interval '1 hour'"


async def starts_of(settings: Settings, schedule: Schedule, **more: Any) -> tuple[int, list[dict[str, Any]]]:
    """Return how many syncs a service starts until it waits for the next one, and what it logs."""
    starts = 0

    async def run(_settings: Settings) -> None:
        nonlocal starts
        starts += 1

    with capture_logs() as lines:
        service = asyncio.create_task(serve(settings, run, schedule=schedule, **more))
        await until_said(lines, "waiting for the next sync")
        await stop(service)
    return starts, [dict(line) for line in lines]


@pytest.mark.parametrize(
    ("last_began", "due", "starts"),
    [
        ([26], [1, 25], 1),  # last night was missed
        ([100], [1, 25, 49, 73], 1),  # several were: one sync makes up for them
        ([0.5], [1, 25], 0),  # it ran, by hand or not
        ([1.5], [1, 25], 1),  # what ran before the hour does not count
        ([], [1, 25], 0),  # an empty ledger waits for its hour
    ],
)
async def test_a_missed_night_is_made_up_at_the_start(
    last_began: list[float], due: list[float], starts: int, settings: Settings, database: asyncpg.Connection
) -> None:
    await upgrade(settings)
    for hours_ago in last_began:
        await begin_sync(database, hours_ago)
    started, lines = await starts_of(settings, At(*due))
    assert started == starts
    said = [line for line in lines if line["event"] == "a sync that was missed is made up now"]
    assert len(said) == starts


async def test_runs_that_are_no_full_sync_make_up_for_none(settings: Settings, database: asyncpg.Connection) -> None:
    await upgrade(settings)
    await begin_sync(database, 26)
    await begin_sync(database, 0.5)
    await database.execute("UPDATE canvas_ops.run SET scope = 'quick' WHERE id = 2")
    await begin_sync(database, 0.4)
    await database.execute("UPDATE canvas_ops.run SET job = 'backfill' WHERE id = 3")
    assert (await starts_of(settings, At(1)))[0] == 1


@pytest.mark.parametrize("before", [[26], []])
async def test_a_night_that_died_is_made_up_and_one_that_goes_on_is_not(
    before: list[float], settings: Settings, database_dsn: str, database: asyncpg.Connection
) -> None:
    """The leader was killed in the middle, say. Whoever leads next resumes the run at once."""
    await upgrade(settings)
    for hours_ago in before:
        await begin_sync(database, hours_ago)
    await begin_sync(database, 0.9, outcome=None)
    async with open_warehouse(database_dsn, "canvas", FIRST_PATIENCE) as warehouse, run_lock(warehouse, "sync"):
        assert (await starts_of(settings, At(1)))[0] == 0
    assert (await starts_of(settings, At(1)))[0] == 1


async def test_a_host_that_slept_through_the_night_makes_it_up(
    settings: Settings, database: asyncpg.Connection
) -> None:
    """Its clock jumps, and time as such does not: that is said in words, and the sync is started at once."""
    await upgrade(settings)
    await begin_sync(database, 0.1)
    asleep, started = timedelta(), asyncio.Event()

    async def run(_settings: Settings) -> None:
        started.set()

    def clock() -> datetime:
        return datetime.now(UTC) + asleep

    with capture_logs() as lines:
        service = asyncio.create_task(serve(settings, run, schedule=At(-5), now=clock))
        await until_said(lines, "waiting for the next sync")
        await database.execute(HOURS_PASS, 8)
        asleep = timedelta(hours=8)
        await started.wait()
        await stop(service)
    said = [line for line in lines if line["log_level"] == "warning"]
    assert [(line["event"], round(line["seconds"] / 10)) for line in said] == [
        ("this host slept, or its clock was set", 2880)
    ]
    assert "a sync that was missed is made up now" in [line["event"] for line in lines]


async def test_a_clock_that_was_put_back_leaves_no_night_out(settings: Settings, database: asyncpg.Connection) -> None:
    """A host that believed itself in the future until its clock was set waits for the hour that is really next."""
    await upgrade(settings)
    await begin_sync(database, 0.1)
    ahead, started = timedelta(days=400), asyncio.Event()

    async def run(_settings: Settings) -> None:
        started.set()

    def clock() -> datetime:
        return datetime.now(UTC) + ahead

    with capture_logs() as lines:
        service = asyncio.create_task(serve(settings, run, schedule=At(-2), now=clock))
        await until_said(lines, "waiting for the next sync")
        ahead = timedelta()
        await until_said(lines, "this host slept, or its clock was set")
        assert not started.is_set()
        await database.execute(HOURS_PASS, 3)
        ahead = timedelta(hours=3)
        await started.wait()
        await stop(service)


async def test_a_ledger_that_cannot_be_read_is_told_once_and_asked_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    looks, failing, started = 0, True, asyncio.Event()

    async def run(_settings: Settings) -> None:
        started.set()

    async def last_sync(_settings: Settings) -> LastSync:
        nonlocal looks
        looks += 1
        if failing:
            raise WarehouseAway("It is away.", next="Wait.")
        return LastSync(None, abandoned=False)

    monkeypatch.setattr(schedule, "last_sync", last_sync)
    with capture_logs() as lines:
        service = asyncio.create_task(serve(settings, run, schedule=Once()))
        while looks < 5:  # noqa: ASYNC110 - the service sets no event
            await asyncio.sleep(0.01)
        failing = False
        await started.wait()
        await stop(service)
    assert [line["event"] for line in lines].count("the ledger cannot be read") == 1
    assert "It is away.\n  Next: Wait.\n" in capsys.readouterr().err
