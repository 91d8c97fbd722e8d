"""Proves the mirror against the other cover: every patient's searches instead of every practitioner's.

Each message lies in exactly one search of either cover (Canvas serves only messages between one practitioner and one
patient), so what one cover lost the other shows. Nothing is repaired here: what is found missing is left for the next
sync to ask for.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from worker import __version__
from worker.errors import PageFailed
from worker.extract.client import Source
from worker.extract.entry import hash_entry, read_entry
from worker.jobs import mirror, people, plan
from worker.jobs.differences import Answer, Verdict, judge
from worker.jobs.progress import Progress, Report, no_report
from worker.jobs.walk import BATCH_ENTRIES, RESOURCE
from worker.jobs.workplace import Connect, Workplace, open_workplace
from worker.load import ledger, sightings
from worker.records import Aside, Communication, Message, Rejected, Search
from worker.telemetry import get_logger
from worker.transform.message import to_message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.settings import Settings
    from worker.transform.message import Rules

PASSES_MAX = 4
DIFFERENCES_AT_ONCE = 200
IDS_SHOWN_MAX = 1000


@dataclass(slots=True)
class Found:
    """What the comparison came to. `ids` holds the first thousand message ids of each kind of difference."""

    differences: dict[str, int] = field(default_factory=dict)
    ids: dict[str, list[str]] = field(default_factory=dict)
    moved: int = 0
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class Verification:
    """The outcome. `proven`: two passes over the other cover agreed, and every difference could be judged."""

    run_id: int
    sync: mirror.RunResult | None
    passes: int
    proven: bool
    reason: str | None
    patients: int
    entries: int
    found: Found

    @property
    def clean(self) -> bool:
        """Whether the mirror is proven equal to the source, but for what moved."""
        return self.proven and not self.found.differences


async def verify(
    settings: Settings, report: Report = no_report, *, sync_first: bool = True, connect: Connect = Source.open
) -> Verification:
    """Sync (unless told not to), read the other cover until two passes agree, and compare. Raises any MirrorError."""
    async with open_workplace(settings, "verify", connect) as workplace:
        began_at = datetime.now(UTC)
        synced = await _sync(workplace, report) if sync_first else None
        run_id = await _open(workplace)
        patients, listed = await _read_patients(workplace, run_id)
        verification = _Verification(workplace, run_id, report, mirror.rules_of(settings))
        reason = await verification.read_until_two_agree(patients)
        if not listed:
            reason = reason or "patients_not_listed"
        if synced is not None and synced.outcome is not plan.Outcome.COMPLETE:
            reason = reason or "sync_not_complete"
        # What a sync has from the one that it went on with was shown before this verification began: no sign of moving.
        since = began_at if synced is not None and not synced.resumed else None
        found = await verification.compare(synced_since=since, began_at=began_at)
        if found.unknown:
            reason = reason or "differences_not_answered"
        await workplace.hold(run_id)
        entries = await workplace.warehouse.work(
            sightings.count_sightings, workplace.warehouse, run_id, verification.passes
        )
        result = Verification(
            run_id, synced, verification.passes, reason is None, reason, len(patients), entries, found
        )
        outcome = plan.Outcome.COMPLETE if result.clean else plan.Outcome.INCOMPLETE
        await workplace.warehouse.work(
            ledger.close_run, workplace.warehouse, run_id, outcome.value, as_of=verification.as_of
        )
        get_logger().info("verification closed", run_id=run_id, outcome=outcome.value, entries=entries, reason=reason)
        return result


async def _sync(workplace: Workplace, report: Report) -> mirror.RunResult:
    within = workplace.settings.resume_within
    return await mirror.run(workplace, job="sync", selection=plan.Selection(), resume_within=within, report=report)


async def _open(workplace: Workplace) -> int:
    """Begin the run in the ledger. A verification that died is not resumed: what it saw is out of date."""
    warehouse = workplace.warehouse
    await warehouse.work(ledger.revoke_leases, warehouse)
    for died in await warehouse.work(ledger.read_open_runs, warehouse):
        if died.job == "verify":
            await warehouse.work(ledger.close_run, warehouse, died.id, plan.Outcome.INTERRUPTED.value)
    return await warehouse.work(
        ledger.open_run, warehouse, job="verify", scope="full", selection="", version=__version__
    )


async def _read_patients(workplace: Workplace, run_id: int) -> tuple[list[str], bool]:
    """Return everybody to ask for — listed, or met in messages — and whether the list was accepted."""
    warehouse = workplace.warehouse
    listed = await people.read_patients(workplace.source)
    await warehouse.work(ledger.save_roster_search, warehouse, run_id, listed.walked)
    met = await warehouse.work(sightings.known_patients, warehouse)
    return sorted({*listed.ids, *met}), listed.walked.accepted


class _Verification:
    """The passes over the patients' searches, and the comparison of the last of them with the mirror."""

    def __init__(self, workplace: Workplace, run_id: int, report: Report, rules: Rules) -> None:
        self._workplace = workplace
        self._source = workplace.source
        self._warehouse = workplace.warehouse
        self._run_id = run_id
        self._report = report
        self._rules = rules
        self.passes = 0
        self.as_of: datetime | None = None

    async def read_until_two_agree(self, patients: list[str]) -> str | None:
        """Return why the cover is not proven, or None: all searches accepted, and two passes in a row the same."""
        reason: str | None = "no_pass"
        while self.passes < PASSES_MAX:
            self.passes += 1
            before = self.passes - 1
            await self._warehouse.work(sightings.clear_sightings, self._warehouse, self._run_id, before)
            self.as_of = datetime.now(UTC)
            reason = await self._pass(plan.searches_for((), patients, ()))
            if reason is None and before:
                agreed = await self._warehouse.work(
                    sightings.passes_agree, self._warehouse, self._run_id, before, self.passes
                )
                if agreed:
                    return None
                reason = "passes_differ"
        return reason or "passes_differ"

    async def _pass(self, searches: list[Search]) -> str | None:
        progress = Progress(searches=len(searches))
        waiting = iter(searches)
        concurrency = self._workplace.settings.concurrency
        ends = await asyncio.gather(*(self._some(waiting, progress) for _ in range(concurrency)))
        return next((reason for reason, _ in ends if reason is not None), None) or await self._count(
            sum(total for _, total in ends)
        )

    async def _count(self, total: int) -> str | None:
        """Every message lies in one search of this cover: the totals add up to the entries that were seen."""
        seen = await self._warehouse.work(sightings.count_sightings, self._warehouse, self._run_id, self.passes)
        return None if seen == total else "totals_differ"

    async def _some(self, waiting: Iterator[Search], progress: Progress) -> tuple[str | None, int]:
        worst, total = None, 0
        for search in waiting:
            await self._workplace.hold(self._run_id)
            reason, entries = await self._walk(search, progress)
            worst, total = worst or reason, total + entries
            progress.searches_done += 1
            self._report(progress)
        return worst, total

    async def _walk(self, search: Search, progress: Progress) -> tuple[str | None, int]:
        reason: str | None = None
        for _ in range(plan.WALKS_MAX):
            tally = plan.Tally()
            try:
                reason = await self._walk_once(search, tally, progress)
            except PageFailed as failed:
                reason = failed.reason
            if reason is None:
                return None, tally.total or 0
        return reason, 0

    async def _walk_once(self, search: Search, tally: plan.Tally, progress: Progress) -> str | None:
        parameters = [(search.parameter, search.value)]
        messages: list[Message] = []
        rejected: list[Rejected] = []
        async for page in self._source.walk(RESOURCE, parameters):
            records = [read_entry(entry, hash_entry(entry)) for entry in page.entries]
            usable = [record for record in records if isinstance(record, Communication)]
            unusable = [record for record in records if isinstance(record, Rejected)]
            tally.add_page(
                page.total,
                [*(record.id for record in usable), *(record.id or record.raw_hash for record in unusable)],
                sum(not plan.belongs(record, search) for record in usable),
                # A skipped row shows in the next pass: two in a row must agree.
                newcomers=0,
            )
            messages += [to_message(record, self._rules) for record in usable]
            rejected += unusable
            progress.entries += len(page.entries)
            if len(messages) + len(rejected) >= BATCH_ENTRIES:
                await self._store(messages, rejected)
                messages, rejected = [], []
        await self._store(messages, rejected)
        if tally.needs_first_page_again:
            first = await self._source.first_page(RESOURCE, parameters)
            again = [read_entry(entry, hash_entry(entry)) for entry in first.entries]
            keys: list[str | bytes] = [r.id or r.raw_hash for r in again if not isinstance(r, Aside)]
            tally.add_first_page_again(first.total, keys)
        return plan.objection(tally)

    async def _store(self, messages: list[Message], rejected: list[Rejected]) -> None:
        await self._warehouse.work(
            sightings.store_sightings, self._warehouse, self._run_id, self.passes, messages, rejected
        )

    async def compare(self, *, synced_since: datetime | None, began_at: datetime) -> Found:
        """Judge every difference between the last pass and the mirror, a few at a time."""
        found, after = Found(), ""
        while True:
            some = await self._warehouse.work(
                sightings.read_differences, self._warehouse, self._run_id, self.passes, after, DIFFERENCES_AT_ONCE
            )
            if not some:
                return found
            after = some[-1].key
            answers = await asyncio.gather(*(self._ask(difference) for difference in some))
            verdicts = [
                judge(difference, answer, synced_since=synced_since, began_at=began_at)
                for difference, answer in zip(some, answers, strict=True)
            ]
            await self._count_in(found, list(zip(some, verdicts, strict=True)))

    async def _count_in(self, found: Found, judged: list[tuple[sightings.Difference, Verdict]]) -> None:
        found.moved += sum(verdict is Verdict.MOVED for _, verdict in judged)
        found.unknown += sum(verdict is Verdict.UNKNOWN for _, verdict in judged)
        faults = [difference for difference, verdict in judged if verdict is Verdict.DIFFERENCE]
        for fault in faults:
            found.differences[fault.kind] = found.differences.get(fault.kind, 0) + 1
            ids = found.ids.setdefault(fault.kind, [])
            if fault.message_id is not None and len(ids) < IDS_SHOWN_MAX:
                ids.append(fault.message_id)
        missing = [d for d, verdict in judged if d.kind == "missing" and verdict is not Verdict.UNKNOWN]
        await self._warehouse.work(
            sightings.leave_for_sync,
            self._warehouse,
            self._run_id,
            [d.message_id for d in missing if d.message_id is not None],
            [d.practitioner_id for d in missing if d.practitioner_id is not None],
        )

    async def _ask(self, difference: sightings.Difference) -> Answer:
        if difference.message_id is None or difference.kind in {"altered", "unaccounted"}:
            return Answer(None)
        try:
            page = await self._source.first_page(RESOURCE, [("_id", difference.message_id)])
        except PageFailed:
            return Answer(None)
        records = [read_entry(entry, hash_entry(entry)) for entry in page.entries]
        hashes = [
            record.content_hash
            for record in records
            if isinstance(record, Communication) and record.id == difference.message_id
        ]
        if page.total == 0 and not records:
            return Answer(known=False)
        return Answer(known=True, content_hash=hashes[0]) if hashes else Answer(None)
