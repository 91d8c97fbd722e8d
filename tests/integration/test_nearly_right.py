"""A source that is nearly right: another form than FHIR's is read where there is one way to read it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.integration.bare_source import BareSource, letter
from tests.integration.mirroring import mirror_settings
from worker.jobs.plan import Outcome
from worker.jobs.sync import sync

if TYPE_CHECKING:
    import asyncpg

ODD_DATES = "SELECT messages FROM canvas.quality WHERE finding = 'odd_date'"


async def test_dates_that_name_one_instant_are_rows_and_counted(
    database_dsn: str, database: asyncpg.Connection
) -> None:
    """All dates of a source are written with an offset without a colon: its messages are here all the same."""
    source = BareSource([letter(f"m{number}", sent="2024-02-01T09:00:00+0000") for number in range(20)])
    async with source.serve() as url:
        result = await sync(mirror_settings(url, database_dsn))
        assert (result.outcome, result.sums.inserted) == (Outcome.COMPLETE, 20)
        assert {row["sent_at"] for row in await database.fetch("SELECT sent_at FROM canvas.message")} == {
            datetime(2024, 2, 1, 9, tzinfo=UTC)
        }
        assert await database.fetchval(ODD_DATES) == 20
        source.rows = [letter(f"m{number}", sent="2024-02-01T09:00:00Z") for number in range(20)]
        assert (await sync(mirror_settings(url, database_dsn))).sums.updated == 0, "the same instants"


async def test_dates_that_leave_their_zone_open_stay_refused(database_dsn: str, database: asyncpg.Connection) -> None:
    source = BareSource([letter("good"), letter("open", sent="2024-02-01T09:00:00")])
    async with source.serve() as url:
        await sync(mirror_settings(url, database_dsn))
    assert await database.fetchval("SELECT reason FROM canvas.unusable") == "impossible_date"
    assert await database.fetchval("SELECT count(*) FROM canvas.message") == 1
