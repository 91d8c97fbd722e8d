"""`serve`: starts the sync by cron, one at a time, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from worker.errors import MirrorError
from worker.jobs.sync import sync
from worker.service.cron import trigger
from worker.telemetry import get_logger, where

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from apscheduler.triggers.base import BaseTrigger

    from worker.settings import Settings

MISFIRE_GRACE_S = 3600


async def serve(
    settings: Settings, run: Callable[[Settings], Awaitable[object]] = sync, *, when: BaseTrigger | None = None
) -> None:
    """Start `run` whenever `MIRROR_NIGHTLY` says (or `when`), until cancelled. After a failed run comes the next.

    Cancelling stops a sync at its next await; its run stays open and is resumed. Raises SettingsError at the start.
    """
    settings.need_instance()
    settings.need_warehouse_place()
    nightly = when or trigger("MIRROR_NIGHTLY", settings.nightly)
    scheduler = AsyncIOScheduler(timezone="UTC")
    under_way: set[asyncio.Task[None]] = set()

    async def once() -> None:
        # A task of our own: the scheduler's shutdown would cancel it without waiting for its end.
        task = asyncio.create_task(_guarded(settings, run))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        with contextlib.suppress(asyncio.CancelledError):  # nor has the scheduler anything to say about it
            await asyncio.wait({task})

    job = scheduler.add_job(once, nightly, max_instances=1, coalesce=True, misfire_grace_time=MISFIRE_GRACE_S)
    scheduler.start()
    get_logger().info("waiting for the next sync", next_fire_at=str(job.next_run_time))
    try:
        await asyncio.Event().wait()
    finally:
        scheduler.shutdown(wait=False)
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


async def _guarded(settings: Settings, run: Callable[[Settings], Awaitable[object]]) -> None:
    try:
        await run(settings)
    except MirrorError as error:
        # Its words are ours, but they are for people: the log takes the kind.
        get_logger().error("the sync failed", error=type(error).__name__, exit_code=error.exit_code)
    except Exception as error:  # noqa: BLE001 - the scheduler must outlive any failure; where it happened is logged
        get_logger().error("the sync failed unexpectedly", where=where(error))
