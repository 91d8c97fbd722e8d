"""What an operator asks first: runs, why searches failed, freshness, counts, quarantine, sizes. Changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from worker.jobs.mirror import rules_of
from worker.jobs.workplace import warehouse_dsn
from worker.load import report
from worker.load.database import open_warehouse
from worker.transform.message import rules_version

if TYPE_CHECKING:
    from worker.settings import Settings


async def status(settings: Settings, *, runs: int = 5) -> dict[str, Any]:
    """Return lists and dictionaries ready to be shown or written as JSON, times as aware datetimes in UTC.

    `runs` is how many of the last runs. Raises any MirrorError; MigrationError if the schema is not up to date.
    """
    async with open_warehouse(await warehouse_dsn(settings), settings.schema, settings.patience) as warehouse:
        return await warehouse.work(
            report.read_status, warehouse, runs=runs, rules_version=rules_version(rules_of(settings))
        )


async def last_sync(settings: Settings) -> report.LastSync:
    """Return how long ago a full sync last began, by hand or not. Raises any MirrorError."""
    dsn = await warehouse_dsn(settings)
    async with open_warehouse(dsn, settings.schema, settings.patience, pool_size=1) as warehouse:
        return await warehouse.work(report.read_last_sync, warehouse)


async def first_look(settings: Settings) -> list[dict[str, Any]]:
    """Return the rows of a first query: messages by direction. Raises any MirrorError."""
    async with open_warehouse(await warehouse_dsn(settings), settings.schema, settings.patience) as warehouse:
        return await warehouse.work(report.by_direction, warehouse)
