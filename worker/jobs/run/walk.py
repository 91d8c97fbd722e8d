"""Walks one search from its first page to its last, and lands its messages on the way: extract → transform → load."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Self

from worker.defects import guarded
from worker.errors import PageFailed
from worker.extract.content_hash import hash_entry
from worker.extract.entry import read_entry
from worker.jobs.run import acceptance, plan
from worker.jobs.run.buffer import RecordBuffer
from worker.jobs.run.derive import derive
from worker.jobs.run.entries import Entries
from worker.jobs.run.reading import read_search
from worker.load import fingerprints, worklist
from worker.records import Communication, NonMatch, Page, Rejected
from worker.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Collection, Coroutine
    from types import TracebackType
    from uuid import UUID

    from worker.extract.client import Source
    from worker.jobs.run.progress import Progress, Report
    from worker.jobs.run.tally import Shown, Tally
    from worker.load.postgres.database import Warehouse
    from worker.reader.parent import Reader
    from worker.transform.message import Rules

RESOURCE = "Communication"
NOT_KNOWN = frozenset({"http_404", "http_410"})
"""Refusals of a search by `_id` that mean that there is no such resource (FHIR R4 §3.1.0.1.8, of a read)."""


@dataclass(slots=True)
class Walker:
    """What every walk of a run needs."""

    source: Source
    warehouse: Warehouse
    selection: plan.Selection
    rules: Rules
    reader: Reader
    progress: Progress
    report: Report
    gone: set[str] = field(default_factory=set)
    """Ids asked for by `_id` that the source does not know."""
    walking: set[UUID] = field(default_factory=set)
    """Tokens of the searches being walked, whose leases are to be renewed."""
    listed: frozenset[str] | None = None
    """Ids of the practitioners on the roster, None if it is not believed."""
    requests_before: int = 0
    """Requests of the run that earlier processes made."""

    @property
    def requests(self) -> int:
        """How many requests the run has made so far."""
        return self.requests_before + self.source.requests

    async def walk(self, claim: worklist.Claim) -> None:
        """Walk a claimed search until it is accepted, `WALKS_MAX` times at most, and finish it in the ledger.

        Raises LeaseLost, SourceAway, WarehouseAway and AccessRefused. A page that cannot be fetched only fails its
        walk.
        """
        self.walking.add(claim.token)
        try:
            await self._walk(claim)
        finally:
            self.walking.discard(claim.token)

    async def _walk(self, claim: worklist.Claim) -> None:
        for attempt in range(1, acceptance.WALKS_MAX + 1):
            await self.source.pause(acceptance.PAUSES_S[attempt - 1])
            batch_number = await self.warehouse.work(worklist.begin_walk, self.warehouse, claim)
            # Read again for each walk: the walk before may have landed what makes an entry of the fingerprint unusable.
            fingerprint = await self.warehouse.work(fingerprints.read_fingerprint, self.warehouse, claim.search)
            async with _Walk(self, claim, fingerprint, batch_number) as walk:
                reason = await walk.to_the_end()
                if plan.is_refused_by_name(claim.search, reason, walk.tally.pages, self.listed):
                    await walk.finish(plan.NOT_LISTED)
                    return
                if reason is None or attempt == acceptance.WALKS_MAX:
                    await walk.finish(reason)
                    return
                await walk.land()
            get_logger().warning(
                "a walk was not accepted, walking again", search_id=claim.search_id, reason=reason, attempt=attempt
            )


@dataclass(slots=True)
class _Walk:
    """One walk: what it was shown (`tally`), and what is still to be landed.

    A full batch is landed while the next pages are read, one batch at a time.
    """

    walker: Walker
    claim: worklist.Claim
    fingerprint: fingerprints.Fingerprint
    batch_number: int
    entries: Entries = field(init=False)
    seen: dict[bytes, fingerprints.Seen] = field(default_factory=dict)
    buffer: RecordBuffer = field(default_factory=RecordBuffer)
    outside: set[bytes] = field(default_factory=set)
    """Hashes of the entries outside the days that the run asks for."""
    landing: asyncio.Task[None] | None = None
    first_glance_only: bool = False

    def __post_init__(self) -> None:
        known = frozenset(seen.id for seen in self.fingerprint.stored.values())
        self.entries = Entries(self.claim.search, known, ignored=self.walker.rules.ignored)

    async def __aenter__(self) -> Self:
        """Return the walk, which has landed nothing yet."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the batch that is being landed. If the walk was cancelled, cancel the batch as well."""
        if self.landing is not None:
            if isinstance(error, asyncio.CancelledError):
                self.landing.cancel()
            await asyncio.gather(self.landing, return_exceptions=True)

    @property
    def tally(self) -> Tally:
        """What the walk was shown."""
        return self.entries.tally

    async def to_the_end(self) -> str | None:
        """Read every page, landing batches on the way. Return why the walk is not accepted, or None if it is."""
        source, first = self.walker.source, None
        parameters = [(self.claim.search.parameter, self.claim.search.value)]
        if self.walker.selection.quick:
            try:
                first = await source.first_page(RESOURCE, parameters)
            except PageFailed as failed:
                return failed.reason
            if self._looks_unchanged(first):
                self.first_glance_only = True
                self.tally.add(self._take(first), first.total, requested=first.requested, arrived=first.arrived)
                return None
        reason = await read_search(source, RESOURCE, parameters, self.tally, self._take_and_land, first=first)
        is_answer = self.claim.search.parameter == "_id" and reason in NOT_KNOWN and not self.tally.entries
        return None if is_answer else reason

    async def land(self) -> None:
        """Land what is still to be landed, without finishing the search."""
        await self._wait_for_landing()
        if self.buffer:
            await self._land_next(None)

    async def finish(self, reason: str | None) -> None:
        """Land the rest, and finish the search in the same transaction."""
        is_new = (
            reason is None
            and not self.walker.selection.windowed
            and not self.first_glance_only
            and (self.seen != self.fingerprint.stored or self.tally.total != (self.fingerprint.total or 0))
        )
        await self._wait_for_landing()
        await self._land_next(
            worklist.Finish(
                accepted=reason is None,
                reason=reason,
                total=self.tally.total,
                pages=self.tally.pages,
                entries=self.tally.entries,
                outside=len(self.outside),
                seen=self.seen if is_new else None,
            ),
        )
        if reason is None and self.claim.search.parameter == "_id" and not self.tally.entries:
            self.walker.gone.add(self.claim.search.value)
        self.walker.progress.searches_done += 1
        self.walker.report(self.walker.progress)

    async def _take_and_land(self, page: Page) -> Shown:
        if self.buffer.is_full:
            await self._wait_for_landing()
            self.landing = asyncio.create_task(self._land_next(None))
        return self._take(page)

    async def _wait_for_landing(self) -> None:
        """Wait for the batch that is being landed. Raises what landing it raises."""
        if self.landing is not None:
            landing, self.landing = self.landing, None
            await landing

    def _take(self, page: Page) -> Shown:
        before = len(self.entries.keys)
        shown, records = self.entries.look(page, self.fingerprint.usable)
        held = {
            raw_hash: self.fingerprint.usable[raw_hash]
            for raw_hash in shown.raw_hashes
            if raw_hash in self.fingerprint.usable
        }
        self.seen |= held
        if self.walker.selection.windowed:
            self._note_outside(page, held.keys())
        self._keep(records)
        self.walker.progress.entries += len(self.entries.keys) - before
        self.walker.report(self.walker.progress)
        return shown

    def _keep(self, records: list[Communication | Rejected]) -> None:
        """Keep records for the next batch, except those outside the days that the run asks for."""
        for record in records:
            if not self._is_wanted(record):
                self.outside.add(record.raw_hash)
                continue
            self.buffer.add(record)
            if isinstance(record, Communication):
                self.seen[record.raw_hash] = fingerprints.Seen(record.id, record.content_hash)

    def _note_outside(self, page: Page, held: Collection[bytes]) -> None:
        for entry in page.entries:
            raw_hash = hash_entry(entry)
            if raw_hash in held and not self._is_wanted(read_entry(entry, raw_hash)):
                self.outside.add(raw_hash)

    def _is_wanted(self, record: Communication | Rejected | NonMatch) -> bool:
        """Tell whether a record is among what the run asks for. A record that cannot be judged is."""
        if not isinstance(record, Communication):
            return True
        return guarded(partial(self.walker.selection.wants, record), lambda: True)

    def _looks_unchanged(self, page: Page) -> bool:
        return acceptance.looks_unchanged(
            page.total, map(hash_entry, page.entries), self.fingerprint, is_only=page.next_url is None
        )

    def _land_next(self, finish: worklist.Finish | None) -> Coroutine[None, None, None]:
        """Take what waits out of the buffer, at once, and return what lands it."""
        batch, number = self.buffer, self.batch_number
        self.buffer = RecordBuffer()
        self.batch_number += 1
        return self._land(batch, number, finish)

    async def _land(self, records: RecordBuffer, number: int, finish: worklist.Finish | None) -> None:
        messages = await derive(records.communications, self.walker.rules, self.walker.reader)
        batch = worklist.Batch(messages, records.rejected, number)
        landed = await worklist.land(self.walker.warehouse, self.claim, batch, finish)
        self.walker.progress.new += landed.new
        self.walker.progress.changed += landed.changed
