"""The other cover: every patient's searches, read in passes until two in a row agree.

What a pass saw lies in the warehouse (`load/sightings`), so that memory stays flat.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from worker.errors import PageFailed
from worker.extract.entry import hash_entry, read_entry
from worker.jobs import acceptance, mirror, plan
from worker.jobs.progress import Progress, Report
from worker.jobs.together import together
from worker.jobs.walk import BATCH_BYTES, BATCH_ENTRIES, RESOURCE
from worker.load import sightings
from worker.records import Aside, Communication, Message, Page, Rejected, Search
from worker.transform.message import to_messages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.jobs.workplace import Workplace
    from worker.transform.message import Rules

PASSES_MAX = 4


class Cover:
    """The passes of one verification. Of the last: its number, its distinct entries, and when it began (`as_of`)."""

    def __init__(self, workplace: Workplace, run_id: int, report: Report) -> None:
        self.run_id = run_id
        self.passes = 0
        self.entries = 0
        self.as_of: datetime | None = None
        self._total = 0
        self._workplace = workplace
        self._warehouse = workplace.warehouse
        self._rules = mirror.rules_of(workplace.settings)
        self._report = report

    async def read_until_two_agree(self, patients: list[str]) -> str | None:
        """Return why the cover is not proven, or None: all searches accepted, and two passes in a row the same."""
        reason: str | None = None
        while self.passes < PASSES_MAX:
            self.passes += 1
            before = self.passes - 1
            await self._warehouse.work(sightings.clear_sightings, self._warehouse, self.run_id, before)
            self.as_of = datetime.now(UTC)
            reason = await self._pass(plan.searches_for((), patients, ()))
            if reason is None and before:
                agreed = await self._warehouse.work(
                    sightings.passes_agree, self._warehouse, self.run_id, before, self.passes
                )
                if agreed:
                    return None
                reason = "passes_differ"
        return reason or "passes_differ"

    async def is_whole(self) -> bool:
        """Tell whether what the last pass saw is stored: as much as the totals of its accepted searches come to.

        The table is not logged. A warehouse that crashed has lost all of it.
        """
        stored = await self._warehouse.work(sightings.count_sightings, self._warehouse, self.run_id, self.passes)
        self.entries = max(self.entries, stored.entries)
        return stored.sightings == self._total

    async def _pass(self, searches: list[Search]) -> str | None:
        progress = Progress(searches=len(searches), run_id=self.run_id)
        waiting = iter(enumerate(searches))
        concurrency = self._workplace.settings.concurrency
        self._total = self.entries = 0
        reasons = await together(self._some(waiting, progress) for _ in range(concurrency))
        whole = await self.is_whole()
        return next((reason for reason in reasons if reason is not None), None if whole else "totals_differ")

    async def _some(self, waiting: Iterator[tuple[int, Search]], progress: Progress) -> str | None:
        worst: str | None = None
        for number, search in waiting:
            await self._workplace.hold(self.run_id)
            reason = await self._walk(number, search, progress)
            worst = worst or reason
            progress.searches_done += 1
            self._report(progress)
        return worst

    async def _walk(self, number: int, search: Search, progress: Progress) -> str | None:
        reason: str | None = None
        for _ in range(acceptance.WALKS_MAX):
            walk = _Walk(self._workplace, self._rules, self.run_id, self.passes, number, search)
            reason = await walk.to_the_end(progress)
            if reason is None:
                self._total += walk.tally.total or 0
                return None
        return reason


@dataclass(slots=True)
class _Walk:
    """One walk of a search: what it saw (`tally`), and what of it waits to be stored."""

    workplace: Workplace
    rules: Rules
    run_id: int
    number: int
    search_number: int
    search: Search
    tally: acceptance.Tally = field(default_factory=acceptance.Tally)
    messages: list[Message] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    waiting_bytes: int = 0
    has_stored: bool = False

    async def to_the_end(self, progress: Progress) -> str | None:
        """Read every page, and the first once more. Return why the walk is not accepted: then none of it is stored."""
        try:
            reason = await self._read(progress)
        except PageFailed as failed:
            reason = failed.reason
        if reason is None:
            await self._store()
        elif self.has_stored:
            await self._forget()
        return reason

    async def _read(self, progress: Progress) -> str | None:
        source, parameters = self.workplace.source, [(self.search.parameter, self.search.value)]
        async for page in source.walk(RESOURCE, parameters):
            self._take(page)
            progress.entries += len(page.entries)
            if len(self.messages) + len(self.rejected) >= BATCH_ENTRIES or self.waiting_bytes >= BATCH_BYTES:
                await self._store()
        if self.tally.needs_first_page_again:
            first = await source.first_page(RESOURCE, parameters)
            again = [read_entry(entry, hash_entry(entry)) for entry in first.entries]
            self.tally.add_page_again(
                first.total, [record.id or record.raw_hash for record in again if not isinstance(record, Aside)]
            )
        return acceptance.objection(self.tally)

    def _take(self, page: Page) -> None:
        usable: list[Communication] = []
        unusable: list[Rejected] = []
        strangers = 0
        for entry in page.entries:
            record, is_stranger = read_entry(entry, hash_entry(entry)), False
            if isinstance(record, Communication):
                record, is_stranger = acceptance.judged(record, entry, self.search)
            strangers += is_stranger
            if isinstance(record, Aside):
                self.tally.is_whole &= not record.not_whole
            elif isinstance(record, Rejected):
                unusable.append(record)
            else:
                usable.append(record)
        self.tally.add_page(
            page.total,
            [*(record.id for record in usable), *(record.id or record.raw_hash for record in unusable)],
            strangers,
            # A skipped row shows in the next pass: two in a row must agree.
            newcomers=0,
        )
        self.messages += to_messages(usable, self.rules)
        self.rejected += unusable
        self.waiting_bytes += sum(map(len, page.entries))

    async def _store(self) -> None:
        warehouse = self.workplace.warehouse
        await warehouse.work(
            sightings.store_sightings,
            warehouse,
            self.run_id,
            self.number,
            self.search_number,
            self.messages,
            self.rejected,
        )
        self.messages, self.rejected, self.waiting_bytes, self.has_stored = [], [], 0, True

    async def _forget(self) -> None:
        warehouse = self.workplace.warehouse
        await warehouse.work(sightings.forget_sightings, warehouse, self.run_id, self.number, self.search_number)
