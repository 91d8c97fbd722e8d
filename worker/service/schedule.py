"""`serve`: starts the sync when it is due, one at a time, until it is stopped. It makes up missed nights.

A sync is due if, by the ledger, no full sync has begun since the last instant of the schedule, by hand or not. So no
night is lost when a host slept, a clock jumped, `serve` was down, or another `serve` that led was killed.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from worker.advice import advise, again_of
from worker.errors import EXIT_LOCKED, EXIT_SOURCE, EXIT_WAREHOUSE, MirrorError
from worker.jobs.run.plan import QUARANTINE, Outcome
from worker.jobs.status import last_sync
from worker.jobs.sync import sync
from worker.service.cron import Schedule, due, schedule_of
from worker.service.leader import Leader
from worker.telemetry import get_logger, log_error, where

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from worker.jobs.run.mirror import RunResult
    from worker.load.report import LastSync
    from worker.settings import Settings

Run: TypeAlias = "Callable[[Settings], Awaitable[RunResult | None]]"

LOOK_EVERY_S = 10.0
"""How often the clock is read: a longer wait would sleep with the host."""
LATE = timedelta(minutes=2)
"""A sync that begins later than this is logged as making up for a missed one."""
JUMP_S = 60.0

# As in the systemd unit: an outage, or another run, is usually over after a while.
RETRIED = frozenset({EXIT_SOURCE, EXIT_WAREHOUSE, EXIT_LOCKED})
RETRY_AFTER_S = 900.0
ATTEMPTS_MAX = 12


async def serve(
    settings: Settings,
    run: Run = sync,
    *,
    schedule: Schedule | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Start `run` whenever it is due by the settings (or `schedule`), until cancelled.

    It makes up at once for a night in which no full sync began: at the start, after this host slept, and when this
    `serve` becomes the leader. A warehouse without any full sync waits for its hour. It logs why a run was not
    complete. A failed run does not end it.

    A run that source, warehouse or another run kept from its end is started again after `RETRY_AFTER_S`, at most
    `ATTEMPTS_MAX` times in all. One of several `serve` on a schema leads (`Leader`), and starts the nights.

    Cancelling stops a sync at its next await. Its run stays open and is resumed. Raises SettingsError at the start.
    """
    settings.need_instance()
    settings.need_warehouse_place()
    zone = settings.time_zone if settings.time_zone_chosen else None
    leader = Leader(settings)
    nights = _Nights(settings, run, leader, schedule or schedule_of(settings.nightly, zone), now, sleep)
    keeping = asyncio.create_task(leader.keep())
    try:
        await nights.go_on()
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await leader.release()


class Jumps:
    """How far the clock of this host jumped, because the host slept or because somebody set the clock.

    `now` is that clock. `monotonic` counts the seconds in which the host was awake.
    """

    def __init__(self, now: Callable[[], datetime], monotonic: Callable[[], float]) -> None:
        self._now = now
        self._monotonic = monotonic
        self._seen = now(), monotonic()

    def since_last_look(self) -> float:
        """Return by how many seconds it jumped since the last call, or the beginning. Negative: it was set back."""
        (now_then, monotonic_then), self._seen = self._seen, (self._now(), self._monotonic())
        now, monotonic = self._seen
        return (now - now_then).total_seconds() - (monotonic - monotonic_then)


@dataclass(slots=True)
class _Nights:
    """Reads the clock, and starts what is due. `look_at` is when the ledger has to be asked next."""

    settings: Settings
    run: Run
    leader: Leader
    schedule: Schedule
    now: Callable[[], datetime]
    sleep: Callable[[float], Awaitable[None]]
    jumps: Jumps = field(init=False)
    look_at: datetime = field(init=False)
    started_at: datetime = field(init=False)
    tried_at: datetime | None = None
    failure: str = ""

    def __post_init__(self) -> None:
        self.jumps = Jumps(self.now, time.monotonic)
        self.look_at = self.started_at = self.now()

    async def go_on(self) -> NoReturn:
        """Start a sync whenever one is due."""
        while True:
            await self.leader.leading.wait()
            self._look_for_a_jump()
            if self.now() >= self.look_at:
                await self._look()
            ahead_s = (self.look_at - self.now()).total_seconds()
            await asyncio.sleep(min(ahead_s, LOOK_EVERY_S) if ahead_s > 0 else LOOK_EVERY_S)

    def _look_for_a_jump(self) -> None:
        jumped_s = self.jumps.since_last_look()
        if abs(jumped_s) > JUMP_S:
            get_logger().warning("this host slept, or its clock was set", seconds=round(jumped_s))
            self.look_at = self.now()
            if self.tried_at is not None:
                self.tried_at = min(self.tried_at, self.look_at)

    async def _look(self) -> None:
        """Start what is due, and what became due meanwhile, one after the other."""
        while (due_at := await self._since_when_due()) is not None:
            self.tried_at = self.now()
            if self.tried_at - due_at > LATE:
                get_logger().info("a sync that was missed is made up now", due_at=str(due_at))
            try:
                await self._one_night()
            except Exception as error:  # noqa: BLE001 - the service must outlive any failure
                get_logger().error("the night ended in an error", where=where(error))

    async def _since_when_due(self) -> datetime | None:
        """Return since when a sync is due, by the ledger; None if none is, if another `serve` leads, or if unknown."""
        try:
            if not await self.leader.leads():
                return None
        except Exception:  # noqa: BLE001 - `Leader.keep` says why, and goes on trying
            return None
        try:
            last = await last_sync(self.settings)
        except MirrorError as error:
            if error.told() != self.failure:
                self.failure = error.told()
                log_error("the ledger cannot be read", error, level="warning")
            return None
        except Exception as error:  # noqa: BLE001 - the service must outlive any failure; where it happened is logged
            get_logger().error("the ledger cannot be read", where=where(error))
            return None
        self.failure, now = "", self.now()
        due_at = self._due_at(last, now)
        if due_at is None:
            self.look_at = self.schedule.after(now)
            get_logger().info("waiting for the next sync", next_fire_at=str(self.look_at))
        return due_at

    def _due_at(self, last: LastSync, now: datetime) -> datetime | None:
        """Return since when a sync is due, None if none is. A sync that this process tried and gave up counts as begun.

        A warehouse without any full sync waits for its hour. If the only one so far was abandoned, the next resumes it.
        """
        if last.age is None and last.abandoned and self.tried_at is None:
            return now
        begun = [at for at in (now - last.age if last.age is not None else None, self.tried_at) if at is not None]
        return due(self.schedule, now, max(begun, default=self.started_at))

    async def _one_night(self) -> None:
        for attempt in range(1, ATTEMPTS_MAX + 1):
            exit_code = await self._guarded()
            if exit_code not in RETRIED or attempt == ATTEMPTS_MAX:
                return
            get_logger().warning("the sync will be started again", attempt=attempt, wait_seconds=RETRY_AFTER_S)
            await self.sleep(RETRY_AFTER_S)

    async def _guarded(self) -> int | None:
        """Return the exit code of the MirrorError that ended the run; None if none did, or if another `serve` leads."""
        try:
            if not await self.leader.leads():
                get_logger().info("the sync is left to the serve that leads")
                return None
            result = await self.run(self.settings)
            if result is not None and result.outcome is not Outcome.COMPLETE:
                _say_why(result)
        except MirrorError as error:
            log_error("the sync failed", error)
            return error.exit_code
        except Exception as error:  # noqa: BLE001 - the service must outlive any failure; where it happened is logged
            get_logger().error("the sync failed unexpectedly", where=where(error))
        return None


def _say_why(result: RunResult) -> None:
    """Log why a run was not complete and what to type next: a line for each reason, with the runbook's words."""
    figures = {
        **{reason: {"searches": searches} for reason, searches in result.reasons.items()},
        result.deletions.value: {"messages": result.gone + result.not_asked},
        QUARANTINE: {"quarantined": result.sums.quarantined + result.sums.flood},
    }
    log = get_logger().bind(run_id=result.run_id, outcome=result.outcome.value)
    for reason in result.why:
        (step,) = advise([reason], again_of(result.job))
        log.warning("the sync was not complete", reason=reason, **figures[reason], next=step)
