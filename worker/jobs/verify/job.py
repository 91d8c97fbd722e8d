"""Proves the mirror by a sweep over every patient's searches, where a sync reads every practitioner's.

Each message is in a search by its practitioner and in one by its patient (Canvas serves only messages between the
two), so the sweep shows what a sync lost. Nothing is repaired here. What is found is left for the next sync to ask for,
or for the next replay to write anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from worker.extract.client import Source
from worker.jobs.run import mirror, plan
from worker.jobs.run.begin import begin_anew
from worker.jobs.run.progress import Report, no_report
from worker.jobs.run.workplace import Connect, open_workplace
from worker.jobs.verify.compare import Found, compare
from worker.jobs.verify.differences import DIFFERENCES_FOUND, SYNC_NOT_COMPLETE
from worker.jobs.verify.sweep import Sweep
from worker.load import ledger
from worker.load.report import read_run

if TYPE_CHECKING:
    from worker.settings import Settings


@dataclass(frozen=True, slots=True)
class Verification:
    """The outcome. `proven`: two passes of the sweep agreed, and every difference could be judged.

    Otherwise `reason` says why not, in a word. `agreed` is whether two passes did. If not, everything that the last
    pass was not shown looks as if it had moved.
    """

    run_id: int
    sync: mirror.RunResult | None
    passes: int
    reason: str | None
    patients: int
    entries: int
    found: Found
    agreed: bool

    @property
    def proven(self) -> bool:
        """Whether two passes agreed and every difference could be judged."""
        return self.reason is None

    @property
    def clean(self) -> bool:
        """Whether the mirror is proven equal to the source, except for what moved."""
        return self.proven and not self.found.differences


async def verify(
    settings: Settings, report: Report = no_report, *, sync_first: bool = True, connect: Connect = Source.open
) -> Verification:
    """Sync (unless told not to), sweep until two passes agree, and compare. Raises any MirrorError."""
    async with open_workplace(settings, "verify", connect) as workplace:
        began_at = datetime.now(UTC)
        synced = None
        if sync_first:
            within = settings.resume_within
            synced = await mirror.run(
                workplace, job="sync", selection=plan.Selection(), resume_within=within, report=report
            )
        requests_before = workplace.source.requests
        run_id = await begin_anew(workplace.warehouse, workplace.lock, "verify", "full")
        listed, discovered = await mirror.read_patients(workplace, run_id)
        patients, not_listed = sorted({*listed.ids, *discovered}), listed.walked.reason
        sweep = Sweep(workplace, run_id, report)
        unread = await sweep.read_until_two_agree(patients)
        # An empty list of patients says least: what the source denies by id says more about the fault.
        reason = unread or (None if not_listed == plan.ROSTER_EMPTY else not_listed)
        if synced is not None and synced.outcome is not plan.Outcome.COMPLETE:
            reason = reason or SYNC_NOT_COMPLETE
        # What a resumed sync was shown before this verification began is no sign that a message moved.
        fresh = synced.run_id if synced is not None and not synced.resumed else None
        found, doubt = await compare(workplace, sweep, synced=fresh, began_at=began_at)
        await workplace.hold(run_id)
        result = Verification(
            run_id=run_id,
            sync=synced,
            passes=sweep.passes,
            reason=reason or doubt or not_listed,
            patients=len(patients),
            entries=sweep.entries,
            found=found,
            agreed=unread is None,
        )
        outcome = plan.Outcome.COMPLETE if result.clean else plan.Outcome.INCOMPLETE
        await workplace.lock.work(
            ledger.close_run,
            workplace.warehouse,
            run_id,
            outcome.value,
            as_of=sweep.as_of,
            requests=workplace.source.requests - requests_before,
            reason=result.reason or (None if result.clean else DIFFERENCES_FOUND),
        )
        figures = await workplace.warehouse.work(read_run, workplace.warehouse, run_id)
        mirror.log_closed("verification closed", figures, [figures["reason"]] if figures["reason"] else [])
        return result
