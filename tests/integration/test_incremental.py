"""Who copies incrementally up to `settled_at` gets every row; who goes by the rows themselves does not."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.integration.bare_source import BareSource, letter
from tests.integration.mirroring import ids_of, mirror_settings
from tests.integration.test_ledger import FINISHED, claim, planned
from tests.rows import row
from worker.jobs.run.plan import Outcome
from worker.jobs.sync import sync
from worker.load import ledger, worklist
from worker.sandbox.population import make_clinic
from worker.sandbox.sandbox_server import SandboxServer

if TYPE_CHECKING:
    from datetime import datetime

    import asyncpg

    from worker.load.postgres.database import Connection, Warehouse

_TO_WHAT_IS_SETTLED = "SELECT settled_at FROM canvas.freshness"
_TO_THE_LATEST_ROW = "SELECT max(_changed_at) FROM canvas.message"
_AN_HOUR_AHEAD = """
UPDATE canvas.message SET _changed_at = _changed_at + interval '1 hour';
UPDATE canvas_ops.run
SET started_at = started_at + interval '1 hour', held_since = held_since + interval '1 hour',
    planned_at = planned_at + interval '1 hour', closed_at = closed_at + interval '1 hour';
"""


class Copy:
    """An analyst's copy: what it has, and up to when it has read."""

    def __init__(self, database: asyncpg.Connection, boundary: str = _TO_WHAT_IS_SETTLED) -> None:
        self.ids: set[str] = set()
        self.read_to: datetime | None = None
        self._database = database
        self._boundary = boundary

    async def read_on(self) -> set[str]:
        """Read what changed since the last time, and return all that it has now."""
        until = await self._database.fetchval(self._boundary)
        rows = await self._database.fetch(
            "SELECT id FROM canvas.message"
            " WHERE _changed_at > coalesce($1::timestamptz, '-infinity') AND _changed_at <= $2",
            self.read_to,
            until,
        )
        self.ids.update(one["id"] for one in rows)
        self.read_to = until
        return self.ids


class SlowLanding:
    """A batch that is landed, in a transaction that stays open until it is told to commit."""

    def __init__(self, warehouse: Warehouse, claimed: worklist.Claim, message_id: str) -> None:
        self._landed, self._commit = asyncio.Event(), asyncio.Event()
        self._task = asyncio.create_task(warehouse.work(self._land, warehouse, claimed, message_id))

    async def _land(
        self, connection: Connection, warehouse: Warehouse, claimed: worklist.Claim, message_id: str
    ) -> None:
        # Of somebody else than other rows: who is met for the first time is waited for.
        slow = row(message_id, sender={"reference": "Practitioner/slow"})
        await worklist.land_batch(connection, warehouse, claimed, worklist.Batch([slow], (), 0), FINISHED)
        self._landed.set()
        await self._commit.wait()

    async def begin(self) -> None:
        """Wait until it is landed, and not committed."""
        await self._landed.wait()

    async def end(self) -> None:
        """Commit."""
        self._commit.set()
        await self._task


async def land(warehouse: Warehouse, run_id: int, message_id: str) -> None:
    batch = worklist.Batch([row(message_id)], (), 0)
    await warehouse.work(worklist.land_batch, warehouse, await claim(warehouse, run_id), batch, FINISHED)


@pytest.mark.parametrize("boundary", [_TO_WHAT_IS_SETTLED, _TO_THE_LATEST_ROW], ids=["settled", "latest"])
async def test_what_is_committed_late_is_in_the_copy(
    database_dsn: str, database: asyncpg.Connection, boundary: str
) -> None:
    """The sabotage is the boundary that one would think of first: the latest row. It passes over a slow landing."""
    copy = Copy(database, boundary)
    async with planned(database_dsn) as (warehouse, run_id):
        slow = SlowLanding(warehouse, await claim(warehouse, run_id), "slow")
        await slow.begin()
        await land(warehouse, run_id, "quick")
        await copy.read_on()
        await slow.end()
        await warehouse.work(ledger.close_run, warehouse, run_id, Outcome.COMPLETE.value)
        assert (await copy.read_on() == {"slow", "quick"}) is (boundary == _TO_WHAT_IS_SETTLED)


async def test_a_run_that_died_and_goes_on_is_in_the_copy(database_dsn: str, database: asyncpg.Connection) -> None:
    """What it landed before it died is settled once it is resumed, what it lands then once it is closed."""
    copy = Copy(database)
    async with planned(database_dsn) as (warehouse, run_id):
        await land(warehouse, run_id, "before")
        assert await copy.read_on() == set()
        await warehouse.work(worklist.reopen_searches, warehouse, run_id, timedelta(hours=6))
        assert await copy.read_on() == {"before"}
        await land(warehouse, run_id, "after")
        assert await copy.read_on() == {"before"}
        await warehouse.work(ledger.close_run, warehouse, run_id, Outcome.INCOMPLETE.value)
        assert await copy.read_on() == {"before", "after"}


async def test_a_run_that_died_for_good_holds_nothing_up(database_dsn: str, database: asyncpg.Connection) -> None:
    """A backfill that nobody resumes stays open for ever; the copy goes on with the next run."""
    copy = Copy(database)
    async with planned(database_dsn) as (warehouse, died):
        await land(warehouse, died, "before")
        another = await warehouse.work(
            ledger.open_run, warehouse, job="sync", scope="full", selection_key="another", version="0"
        )
        assert await copy.read_on() == {"before"}
        await warehouse.work(ledger.close_run, warehouse, another, Outcome.COMPLETE.value)
        assert await copy.read_on() == {"before"}
        assert copy.read_to == await database.fetchval("SELECT closed_at FROM canvas_ops.run WHERE id = $1", another)


async def test_a_copy_that_reads_on_all_the_time_gets_everything(
    database_dsn: str, database: asyncpg.Connection
) -> None:
    copy = Copy(database)
    clinic = make_clinic(messages=400, practitioners=8, patients=40)
    async with SandboxServer(clinic) as server:
        settings = mirror_settings(server.url, database_dsn)
        await sync(settings)
        await copy.read_on()
        assert copy.ids == await ids_of(database)
        await database.execute("DELETE FROM canvas.message")
        await database.execute("DELETE FROM canvas_ops.fingerprint")
        copy.ids.clear()
        again = asyncio.create_task(sync(settings))
        while not again.done():
            await copy.read_on()
        await again
    assert await copy.read_on() == await ids_of(database) == {one["id"] for one in clinic}


@pytest.mark.parametrize("boundary", [_TO_WHAT_IS_SETTLED, _TO_THE_LATEST_ROW])
async def test_a_clock_that_was_put_back_loses_nothing(
    database_dsn: str, database: asyncpg.Connection, boundary: str
) -> None:
    """The first run's clock was an hour ahead, seen from the second: a standby whose clock is right took over."""
    copy = Copy(database, boundary)
    source = BareSource([letter("changed"), letter("gone"), letter("stays")])
    async with source.serve() as url:
        settings = mirror_settings(url, database_dsn)
        await sync(settings)
        await database.execute(_AN_HOUR_AHEAD)
        await copy.read_on()
        copy.ids.clear()
        source.rows = [letter("changed", text="Otherwise."), letter("stays"), letter("new")]
        assert (await sync(settings)).outcome is Outcome.COMPLETE
        await copy.read_on()
    assert copy.ids == {"changed", "gone", "new"}
    assert await database.fetchval("SELECT bool_and(_known_from < _known_to) FROM canvas.message_history")
