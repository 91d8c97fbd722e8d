"""The sweep of a verification: every patient's searches, read in passes until two in a row agree.

What a pass saw is stored in the warehouse (`load/sightings`), so that memory stays flat.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from worker.jobs.run import acceptance, plan
from worker.jobs.run.buffer import RecordBuffer
from worker.jobs.run.derive import derive, rules_of
from worker.jobs.run.entries import Entries
from worker.jobs.run.progress import Progress, Report
from worker.jobs.run.reading import read_search
from worker.jobs.run.together import together
from worker.jobs.run.walk import RESOURCE
from worker.load import sightings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.jobs.run.tally import Shown
    from worker.jobs.run.workplace import Workplace
    from worker.records import Page, Search
    from worker.transform.message import Rules

PASSES_MAX = 4


class Sweep:
    """The passes of one verification over all patients.

    `passes`, `entries` and `as_of` are the number of the last pass, its distinct entries, and when it began.
    """

    def __init__(self, workplace: Workplace, run_id: int, report: Report) -> None:
        self.run_id = run_id
        self.passes = 0
        self.entries = 0
        self.as_of: datetime | None = None
        self._shown = 0
        self._workplace = workplace
        self._warehouse = workplace.warehouse
        self._rules = rules_of(workplace.settings)
        self._report = report
        self._progress = Progress(run_id=run_id)

    async def read_until_two_agree(self, patients: list[str]) -> str | None:
        """Read passes until two in a row agree. Return why the sweep is not proven, or None if it is.

        It is once all searches of a pass are accepted, and the pass before it was the same.
        """
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
        """Tell whether what the last pass saw is stored: as many entries as its accepted searches showed.

        The table is unlogged: a warehouse that crashes loses all of it.
        """
        stored = await self._warehouse.work(sightings.count_sightings, self._warehouse, self.run_id, self.passes)
        self.entries = max(self.entries, stored.entries)
        return stored.sightings == self._shown

    async def _pass(self, searches: list[Search]) -> str | None:
        # At least two passes are counted, so that progress never goes back. A third and a fourth add to the total.
        self._progress.searches = max(2, self.passes) * len(searches)
        waiting = iter(enumerate(searches))
        concurrency = self._workplace.settings.concurrency
        self._shown = self.entries = 0
        reasons = await together(self._some(waiting) for _ in range(concurrency))
        whole = await self.is_whole()
        return next((reason for reason in reasons if reason is not None), None if whole else "totals_differ")

    async def _some(self, waiting: Iterator[tuple[int, Search]]) -> str | None:
        worst: str | None = None
        for number, search in waiting:
            await self._workplace.hold(self.run_id)
            reason = await self._walk(number, search)
            worst = worst or reason
            self._progress.searches_done += 1
            self._report(self._progress)
        return worst

    async def _walk(self, number: int, search: Search) -> str | None:
        reason: str | None = None
        for pause_s in acceptance.PAUSES_S:
            await self._workplace.source.pause(pause_s)
            walk = _Walk(self._workplace, self._rules, self.run_id, self.passes, number, search)
            reason = await walk.to_the_end(self._progress)
            if reason is None:
                self._shown += walk.entries.tally.entries
                return None
        return reason


@dataclass(slots=True)
class _Walk:
    """One walk of a search: what it was shown (`entries`), and what is still to be stored."""

    workplace: Workplace
    rules: Rules
    run_id: int
    number: int
    search_number: int
    search: Search
    entries: Entries = field(init=False)
    buffer: RecordBuffer = field(default_factory=RecordBuffer)
    has_stored: bool = False

    def __post_init__(self) -> None:
        self.entries = Entries(self.search, ignored=self.rules.ignored)

    async def to_the_end(self, progress: Progress) -> str | None:
        """Read the search completely. Return why it is not accepted, and then store nothing of it; else None."""

        async def take(page: Page) -> Shown:
            if self.buffer.is_full:
                await self._store()
            shown, records = self.entries.look(page, {})
            for record in records:
                self.buffer.add(record)
            progress.entries += len(records)
            return shown

        parameters = [(self.search.parameter, self.search.value)]
        reason = await read_search(self.workplace.source, RESOURCE, parameters, self.entries.tally, take)
        if reason is None:
            await self._store()
        elif self.has_stored:
            warehouse = self.workplace.warehouse
            await warehouse.work(sightings.forget_sightings, warehouse, self.run_id, self.number, self.search_number)
        return reason

    async def _store(self) -> None:
        warehouse = self.workplace.warehouse
        messages = await derive(self.buffer.communications, self.rules, self.workplace.reader)
        await warehouse.work(
            sightings.store_sightings,
            warehouse,
            self.run_id,
            self.number,
            self.search_number,
            messages,
            self.buffer.rejected,
        )
        self.buffer, self.has_stored = RecordBuffer(), True
