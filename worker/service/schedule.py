"""`serve`: starts the sync by cron, one at a time, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, TypeAlias

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from worker.advice import advise, again_of
from worker.errors import EXIT_LOCKED, EXIT_SOURCE, EXIT_WAREHOUSE, MirrorError
from worker.jobs.plan import QUARANTINE, Outcome
from worker.jobs.sync import sync
from worker.service.cron import trigger
from worker.service.leader import Leader, tell
from worker.telemetry import get_logger, where

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from apscheduler.triggers.base import BaseTrigger

    from worker.jobs.mirror import RunResult
    from worker.settings import Settings

Run: TypeAlias = "Callable[[Settings], Awaitable[RunResult | None]]"

MISFIRE_GRACE_S = 3600

# As the systemd unit does: somebody else's outage, or run, is most often over in a while.
RETRIED = frozenset({EXIT_SOURCE, EXIT_WAREHOUSE, EXIT_LOCKED})
RETRY_AFTER_S = 900.0
ATTEMPTS_MAX = 12


async def serve(
    settings: Settings,
    run: Run = sync,
    *,
    when: BaseTrigger | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Start `run` whenever `MIRROR_NIGHTLY` says (or `when`), until cancelled. After a failed run comes the next.

    Why a run was not complete is logged.

    One that source, warehouse or another run kept from its end is started again after `RETRY_AFTER_S`, until it has had
    `ATTEMPTS_MAX` starts; what is due meanwhile is left out.

    Of several `serve` on one schema one leads (`Leader`); what is due in another is left out there.

    Cancelling stops a sync at its next await; its run stays open and is resumed. Raises SettingsError at the start.
    """
    settings.need_instance()
    settings.need_warehouse_place()
    nightly = when or trigger("MIRROR_NIGHTLY", settings.nightly)
    scheduler = AsyncIOScheduler(timezone="UTC")
    leader = Leader(settings)
    under_way: set[asyncio.Task[None]] = set()

    async def once() -> None:
        # A task of our own: the scheduler's shutdown would cancel it without waiting for its end.
        task = asyncio.create_task(_one_night(settings, run, leader, sleep))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        with contextlib.suppress(asyncio.CancelledError):  # nor has the scheduler anything to say about it
            await asyncio.wait({task})
        error = task.exception() if task.done() and not task.cancelled() else None
        if error is not None:
            get_logger().error("the night ended in an error", where=where(error))

    job = scheduler.add_job(once, nightly, max_instances=1, coalesce=True, misfire_grace_time=MISFIRE_GRACE_S)
    scheduler.start()
    get_logger().info("waiting for the next sync", next_fire_at=str(job.next_run_time))
    try:
        await leader.keep()
    finally:
        scheduler.shutdown(wait=False)
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await leader.release()


async def _one_night(
    settings: Settings,
    run: Run,
    leader: Leader,
    sleep: Callable[[float], Awaitable[None]],
) -> None:
    for attempt in range(1, ATTEMPTS_MAX + 1):
        exit_code = await _guarded(settings, run, leader)
        if exit_code not in RETRIED or attempt == ATTEMPTS_MAX:
            return
        get_logger().warning("the sync will be started again", attempt=attempt, wait_seconds=RETRY_AFTER_S)
        await sleep(RETRY_AFTER_S)


async def _guarded(settings: Settings, run: Run, leader: Leader) -> int | None:
    """Return the exit code of the error that ended the run, None if none of ours did, or if another `serve` leads."""
    try:
        if not await leader.leads():
            get_logger().info("the sync is left to the serve that leads")
            return None
        result = await run(settings)
        if result is not None and result.outcome is not Outcome.COMPLETE:
            _say_why(result)
    except MirrorError as error:
        # Its words are ours, but they are for people: the log takes the kind, and they stand below it.
        get_logger().error("the sync failed", error=type(error).__name__, exit_code=error.exit_code)
        tell(error)
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the scheduler must outlive any failure; where it happened is logged
        get_logger().error("the sync failed unexpectedly", where=where(error))
    return None


def _say_why(result: RunResult) -> None:
    """Log why a run was not complete and what to type next: a line for each reason, in the runbook's words."""
    figures = {
        **{reason: {"searches": searches} for reason, searches in result.reasons.items()},
        result.deletions.value: {"messages": result.gone + result.not_asked},
        QUARANTINE: {"quarantined": result.sums.quarantined},
    }
    log = get_logger().bind(run_id=result.run_id, outcome=result.outcome.value)
    for reason in result.why:
        (step,) = advise([reason], again_of(result.job))
        log.warning("the sync was not complete", reason=reason, **figures[reason], next=step)
