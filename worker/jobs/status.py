"""What an operator wants to know first: runs, reasons, freshness, counts, quarantine, sizes. Changes nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from worker.errors import MirrorError
from worker.jobs.run.derive import rules_of
from worker.jobs.run.warehouse import warehouse_dsn
from worker.load import report
from worker.load.postgres.database import open_warehouse
from worker.transform.message import rules_version

if TYPE_CHECKING:
    from worker.settings import Settings

LEAST_SHARE = 0.02
"""Share of the last run's entries below which the time so far says little about the rest."""


async def status(settings: Settings, *, runs: int = 5) -> dict[str, Any]:
    """Return lists and dictionaries to be shown or written as JSON, with times as aware datetimes in UTC.

    `runs` is the number of last runs. Raises any MirrorError; MigrationError if the schema is not up to date.
    """
    dsn = await warehouse_dsn(settings, must_exist=True)
    async with open_warehouse(dsn, settings.schema, settings.patience) as warehouse:
        found = await warehouse.work(
            report.read_status, warehouse, runs=runs, rules_version=rules_version(rules_of(settings))
        )
    run = found["under_way"]
    if run is not None:
        run["remaining_seconds"] = remaining_s(
            run["seconds"], run["entries"], run["expected_entries"], run.pop("expected_seconds")
        )
    return found


def remaining_s(elapsed_s: float, entries: int | None, last_entries: int | None, last_s: float | None) -> float | None:
    """Return an estimate of how many seconds a run still takes, None if there is none. Pure.

    The estimate follows the share of entries served so far, compared with the last run of its kind, once that share is
    large enough. Before that, and for jobs without entries, it follows how long that run took.
    """
    if entries and last_entries and LEAST_SHARE * last_entries <= entries <= last_entries:
        return round(elapsed_s * (last_entries - entries) / entries, 1)
    if last_s is None or last_s < elapsed_s or (entries and last_entries and entries > last_entries):
        return None
    return round(last_s - elapsed_s, 1)


def refuse_stale(freshness: dict[str, Any], max_age: timedelta) -> None:
    """Raise MirrorError if the last complete full run is older than `max_age`, or if there was none. Pure.

    `freshness` is the row of `canvas.freshness`. The age is that of the run's start.
    """
    age: timedelta | None = freshness["age"]
    if age is not None and age <= max_age:
        return
    old = "No full run was complete yet."
    if age is not None:
        old = f"The last complete full run began longer ago than --max-age: {age - age % timedelta(seconds=1)}."
    raise MirrorError(
        old,
        safe="What was landed is kept.",
        next="Look above for why the last runs were not complete, then message-mirror sync.",
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
