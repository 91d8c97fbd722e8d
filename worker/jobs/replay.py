"""Derives rows again from the stored resources, and tries quarantine again, without the source.

It is for a change of rules, and for rows that a verification found altered.

A batch is one transaction, and a rewritten row no longer counts as derived by other rules. So an abandoned replay is
simply started again. A replay that lost the run lock writes nothing more (`RunLock.work`), because what it read may be
out of date.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from worker.extract.entry import read_entry, read_resource
from worker.jobs.run import plan
from worker.jobs.run.begin import begin_anew
from worker.jobs.run.derive import derive
from worker.jobs.run.progress import Progress, Report, no_report
from worker.jobs.run.rules import rules_of
from worker.jobs.run.warehouse import open_locked
from worker.load import ledger, rederive
from worker.reader.parent import open_reader
from worker.records import Communication
from worker.telemetry import get_logger
from worker.transform.message import rules_version

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from datetime import datetime

    from worker.load.postgres.database import Connection, Warehouse
    from worker.load.run_lock import RunLock
    from worker.reader.parent import Reader
    from worker.settings import Settings

BATCH = 500


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many versions were rewritten, could not be read, or were refused, and how many entries left quarantine.

    `new` and `changed` count the messages among the entries that left.
    """

    run_id: int
    rewritten: int
    unreadable: int
    refused: int
    released: int
    still_quarantined: int
    new: int
    changed: int


async def replay(settings: Settings, report: Report = no_report, *, since: datetime | None = None) -> Replayed:
    """Rewrite what older rules derived, of messages sent since `since` (or all), and what was found altered.

    Raises any MirrorError.
    """
    async with open_locked(settings, "replay") as (warehouse, lock), open_reader() as reader:
        run_id = await begin_anew(warehouse, lock, "replay", "selected" if since else "full")
        result = await _Replay(settings, warehouse, lock, reader, report, run_id, since).run()
        await lock.work(
            ledger.close_run,
            warehouse,
            run_id,
            plan.Outcome.COMPLETE.value,
            new=result.new,
            changed=result.changed,
        )
        get_logger().info("replay closed", run_id=run_id, changed=result.rewritten, released=result.released)
        return result


class _Read(Protocol):
    def __call__(
        self,
        connection: Connection,
        warehouse: Warehouse,
        rules: str,
        since: datetime | None,
        after: rederive.Version | None,
        limit: int,
    ) -> Awaitable[list[rederive.Version]]: ...


class _Replay:
    def __init__(
        self,
        settings: Settings,
        warehouse: Warehouse,
        lock: RunLock,
        reader: Reader,
        report: Report,
        run_id: int,
        since: datetime | None,
    ) -> None:
        self._rules = rules_of(settings)
        self._version = rules_version(self._rules)
        self._warehouse = warehouse
        self._lock = lock
        self._reader = reader
        self._report = report
        self._run_id = run_id
        self._since = since
        self._progress = Progress(run_id=run_id)
        self._rewritten = self._unreadable = self._refused = self._released = self._still = 0
        self._new = self._changed = 0

    async def run(self) -> Replayed:
        warehouse = self._warehouse
        self._progress.expected = await warehouse.work(rederive.count_older, warehouse, self._version, self._since)
        await self._versions(rederive.read_current, rederive.rewrite_current)
        await self._versions(rederive.read_past, rederive.rewrite_past)
        await self._quarantine()
        return Replayed(
            self._run_id,
            self._rewritten,
            self._unreadable,
            self._refused,
            self._released,
            self._still,
            self._new,
            self._changed,
        )

    async def _versions(self, read: _Read, rewrite: rederive.Rewrite) -> None:
        warehouse, after = self._warehouse, None
        while True:
            batch = await warehouse.work(read, warehouse, self._version, self._since, after, BATCH)
            if not batch:
                return
            after = batch[-1]
            records = [(read_resource(version.resource), version.content_hash) for version in batch]
            # Under its stored hash: it stays the same version, even if hashes are made in another way today.
            versions = [replace(one, content_hash=stored) for one, stored in records if isinstance(one, Communication)]
            messages = await derive(versions, self._rules, self._reader)
            refused = await self._lock.work(rederive.rewrite, warehouse, messages, rewrite)
            self._rewritten += len(messages) - refused
            self._unreadable += len(batch) - len(messages)
            self._refused += refused
            self._progress.entries += len(batch)
            self._progress.changed += len(messages) - refused
            self._report(self._progress)

    async def _quarantine(self) -> None:
        warehouse, after = self._warehouse, None
        while True:
            batch = await warehouse.work(rederive.read_quarantine, warehouse, self._since, after, BATCH)
            if not batch:
                return
            after = batch[-1]
            records = [read_entry(one.entry, one.raw_hash, self._rules.ignored) for one in batch]
            usable = [one for one in records if isinstance(one, Communication)]
            messages = await derive(usable, self._rules, self._reader)
            refused = 0
            if messages:
                landed = await self._lock.work(rederive.release, warehouse, messages, run_id=self._run_id)
                self._new += landed.new
                self._changed += landed.changed
                refused = landed.refused
            self._released += len(messages) - refused
            self._still += len(batch) - len(messages) + refused
