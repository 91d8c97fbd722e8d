"""Derives rows again from the stored resources, and tries quarantine again, without the source.

It is for a change of rules, and for rows that a verification found altered.

A batch is one transaction, and a rewritten row no longer counts as derived by other rules. So an abandoned replay is
simply started again. A replay that lost the run lock writes nothing more (`RunLock.work`), because what it read may be
out of date.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.extract.entry import read_entry, read_resource
from worker.jobs.run import plan
from worker.jobs.run.begin import begin_anew
from worker.jobs.run.derive import derive, rules_of
from worker.jobs.run.progress import Progress, Report, no_report
from worker.jobs.run.warehouse import open_locked
from worker.load import ledger, rederive
from worker.reader.parent import open_reader
from worker.records import Communication
from worker.telemetry import get_logger
from worker.transform.message import rules_version

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from worker.load.postgres.database import Warehouse
    from worker.load.run_lock import RunLock
    from worker.reader.parent import Reader
    from worker.records import Message
    from worker.settings import Settings
    from worker.transform.message import Rules

BATCH = 500


@dataclass(slots=True)
class Replayed:
    """How many versions were rewritten, could not be read, or were refused, and how many entries left quarantine.

    `new` and `changed` count the messages among the entries that left.
    """

    run_id: int
    rewritten: int = 0
    unreadable: int = 0
    refused: int = 0
    released: int = 0
    still_quarantined: int = 0
    new: int = 0
    changed: int = 0


async def replay(settings: Settings, report: Report = no_report, *, since: datetime | None = None) -> Replayed:
    """Rewrite what older rules derived, of messages sent since `since` (or all), and what was found altered.

    Raises any MirrorError.
    """
    async with open_locked(settings, "replay") as (warehouse, lock), open_reader() as reader:
        result = Replayed(await begin_anew(warehouse, lock, "replay", "selected" if since else "full"))
        work = _Replay(warehouse, lock, reader, rules_of(settings), since, result)
        await work.rewrite(report)
        await work.try_quarantine()
        await lock.work(
            ledger.close_run,
            warehouse,
            result.run_id,
            plan.Outcome.COMPLETE.value,
            new=result.new,
            changed=result.changed,
        )
        get_logger().info("replay closed", run_id=result.run_id, changed=result.rewritten, released=result.released)
        return result


@dataclass(frozen=True, slots=True)
class _Replay:
    """A replay of messages sent since `since` (None: of all). What it does is counted in `result`."""

    warehouse: Warehouse
    lock: RunLock
    reader: Reader
    rules: Rules
    since: datetime | None
    result: Replayed

    async def rewrite(self, report: Report) -> None:
        """Derive present and past versions again."""
        version, progress = rules_version(self.rules), Progress(run_id=self.result.run_id)
        progress.expected = await self.warehouse.work(rederive.count_older, self.warehouse, version, self.since)
        for read, rewrite in (
            (rederive.read_current, rederive.rewrite_current),
            (rederive.read_past, rederive.rewrite_past),
        ):
            batch: list[rederive.Version] = []
            while batch := await self.warehouse.work(
                read, self.warehouse, version, self.since, batch[-1] if batch else None, BATCH
            ):
                messages = await self._derived(batch)
                refused = await self.lock.work(rederive.rewrite, self.warehouse, messages, rewrite)
                self.result.rewritten += len(messages) - refused
                self.result.unreadable += len(batch) - len(messages)
                self.result.refused += refused
                progress.entries += len(batch)
                progress.changed = self.result.rewritten
                report(progress)

    async def _derived(self, batch: Sequence[rederive.Version]) -> list[Message]:
        records = [read_resource(version.resource, version.content_hash) for version in batch]
        return await derive([one for one in records if isinstance(one, Communication)], self.rules, self.reader)

    async def try_quarantine(self) -> None:
        """Land the entries of quarantine that can be rows by now."""
        batch: list[rederive.Quarantined] = []
        while batch := await self.warehouse.work(
            rederive.read_quarantine, self.warehouse, self.since, batch[-1] if batch else None, BATCH
        ):
            records = [read_entry(one.entry, one.raw_hash, self.rules.ignored) for one in batch]
            usable = [one for one in records if isinstance(one, Communication)]
            messages = await derive(usable, self.rules, self.reader)
            landed = await self.lock.work(rederive.release, self.warehouse, messages, run_id=self.result.run_id)
            self.result.new += landed.new
            self.result.changed += landed.changed
            self.result.released += len(messages) - landed.refused
            self.result.still_quarantined += len(batch) - len(messages) + landed.refused
