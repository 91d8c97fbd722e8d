"""A run: roster, plan, walks, close (its decisions, with their reasons, are in worker/README.md).

A run that ends early stays open in the ledger, and the next run that asks for the same resumes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from worker import __version__
from worker.extract import roster
from worker.jobs.run import plan, rosters
from worker.jobs.run.absent import implausible, look_for_missing
from worker.jobs.run.begin import begin_or_resume
from worker.jobs.run.claims import walk_all
from worker.jobs.run.deletions import UNBELIEVED, Deletions, decides_on_held
from worker.jobs.run.derive import rules_of
from worker.jobs.run.progress import Progress, Report
from worker.jobs.run.sizes import WORTH_ASKING, ask_sizes
from worker.jobs.run.walk import Walker
from worker.load import fingerprints, land, ledger, quarantine, sightings, worklist
from worker.load.report import read_run
from worker.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from worker.jobs.run.workplace import Workplace
    from worker.records import Search


LOGGED = (
    *("job", "run_id", "scope", "outcome", "seconds", "searches", "searches_accepted"),
    *("entries", "new", "changed", "unseen", "unchanged", "outside", "quarantined", "deleted", "held", "requests"),
)


@dataclass(frozen=True, slots=True)
class RunResult:
    """A closed run: its number and outcome, the sums of its searches, and why some were not accepted."""

    run_id: int
    job: str
    scope: str
    outcome: plan.Outcome
    resumed: bool
    sums: ledger.RunSums
    reasons: dict[str, int]
    requests: int
    gone: int
    deleted: int
    deletions: Deletions
    held: int = 0  # how many of the gone messages were not marked, because the client's scope may have shrunk
    figures: Mapping[str, Any] = field(default_factory=dict)
    """The run's row, by the names that `status --json` and the log use."""
    in_vain: int = 0  # how many of the people and messages that a backfill names were not found

    @property
    def why(self) -> list[str]:
        """The reasons why it is not complete, as in `worker.advice`: of its searches, and of the run as a whole."""
        whole = [self.deletions.value] if self.deletions in UNBELIEVED else []
        flooded = [plan.QUARANTINE] if self.sums.is_flooded else []
        return [*self.reasons, *whole, *flooded]

    @property
    def not_asked(self) -> int:
        """How many more messages may be gone: asking by id ended when more were gone than a run may mark."""
        return self.reasons.get(plan.TOO_MANY_MISSING, 0)


@dataclass(frozen=True, slots=True)
class _Walked:
    """The result of walking: when the work list was complete, and which messages are gone, with the verdict on them."""

    planned_at: datetime
    verdict: Deletions
    gone: list[str]
    held: list[str]


async def run(
    workplace: Workplace,
    *,
    job: str,
    selection: plan.Selection,
    resume_within: timedelta | None,
    report: Report,
    restart: bool = False,
    accept_deletions: bool = False,
    accept_roster: bool = False,
) -> RunResult:
    """Run `selection` to its end and close it. Raises any MirrorError, after which the run can be resumed."""
    warehouse = workplace.warehouse
    run_id, resumed = await begin_or_resume(workplace, job, selection, resume_within, restart=restart)
    log = get_logger().bind(job=job, run_id=run_id)
    log.info("run resumed" if resumed else "run begun", scope=selection.scope, version=__version__)
    progress = Progress(run_id=run_id)
    progress.expected, planned_at, listed = await _plan(workplace, run_id, selection, accept_roster=accept_roster)
    progress.searches = (await warehouse.work(ledger.sum_run, warehouse, run_id)).open
    report(progress)
    rules = rules_of(workplace.settings)
    walker = Walker(workplace.source, warehouse, selection, rules, workplace.reader, progress, report)
    walker.listed = listed
    walker.requests_before = await warehouse.work(ledger.read_requests, warehouse, run_id)
    walked = await _walk_everything(workplace, run_id, walker, planned_at, accept_deletions=accept_deletions)
    await workplace.hold(run_id)
    await workplace.lock.work(sightings.settle_wanted, warehouse, run_id)
    if not selection.quick:
        await workplace.lock.work(quarantine.resolve_unserved, warehouse, run_id)
    sums = await warehouse.work(ledger.sum_run, warehouse, run_id)
    outcome = plan.outcome(sums, walked.verdict)
    sums, deleted = await warehouse.work(
        ledger.close_run,
        warehouse,
        run_id,
        outcome.value,
        gone=sorted({*walked.gone} - {*walked.held}) if walked.verdict is Deletions.MARK else (),
        held=walked.held if decides_on_held(selection.scope, sums, walked.verdict) else None,
        planned_at=walked.planned_at,
        reason=plan.reason(sums, walked.verdict),
        requests=walker.requests,
    )
    result = RunResult(
        run_id=run_id,
        job=job,
        scope=selection.scope,
        outcome=outcome,
        resumed=resumed,
        sums=sums,
        reasons=await warehouse.work(ledger.count_reasons, warehouse, run_id),
        requests=walker.requests,
        gone=len(walked.gone),
        deleted=deleted,
        held=len(walked.held),
        deletions=walked.verdict,
        figures=await warehouse.work(read_run, warehouse, run_id),
    )
    log_closed("run closed", result.figures, result.why)
    return result


def log_closed(event: str, figures: Mapping[str, Any], reasons: Sequence[str]) -> None:
    """Log how a run ended, with the figures of `status --json`. It is a warning if the run was not complete."""
    level = "info" if figures["outcome"] == plan.Outcome.COMPLETE else "warning"
    more = {"reasons": list(reasons)} if reasons else {}
    getattr(get_logger(), level)(event, **{name: figures[name] for name in LOGGED}, **more)


async def _plan(
    workplace: Workplace, run_id: int, selection: plan.Selection, *, accept_roster: bool
) -> tuple[int, datetime, frozenset[str] | None]:
    """Write the work list. Return how many messages its searches had last time, when it was whole, and who is listed.

    Who is listed is None if no roster was asked for, or if it is not believed.
    """
    practitioners, patients, listed = selection.practitioners, selection.patients, None
    if selection.everyone:
        practitioners, listed = await _read_roster(workplace, run_id, accept_roster=accept_roster)
        patients = (await read_patients(workplace, run_id))[0].ids if selection.by_patient else ()
    warehouse = workplace.warehouse
    sizes = await warehouse.work(fingerprints.read_sizes, warehouse)
    wanted = await warehouse.work(sightings.read_wanted, warehouse) if selection.scope == "full" else []
    searches = plan.searches_for(practitioners, patients, (*selection.ids, *wanted))
    settings = workplace.settings
    # With a rate the number of requests decides how long a run takes, so they are not spent on an order.
    if not sizes and len(searches) in WORTH_ASKING and settings.rate_per_s is None:
        sizes = await ask_sizes(workplace.source, searches, settings.concurrency)
        get_logger().info("sizes of all searches asked, because this is a first run", searches=len(searches))
    searches = plan.longest_first(searches, sizes)
    planned_at = await workplace.lock.work(worklist.plan_searches, warehouse, run_id, searches)
    return sum(sizes.get((search.parameter, search.value), 0) for search in searches), planned_at, listed


async def _walk_everything(
    workplace: Workplace, run_id: int, walker: Walker, planned_at: datetime, *, accept_deletions: bool
) -> _Walked:
    """Walk the work list, look for missing messages, and repeat while new practitioners are discovered.

    Messages whose deletion is not plausible are held, unless the operator accepts deletions.
    """
    while True:
        await walk_all(workplace, run_id, walker)
        verdict, gone = await look_for_missing(workplace, run_id, walker, accept_deletions=accept_deletions)
        searches = await _of_newly_met(workplace, run_id, walker.selection)
        if not searches:
            believes = verdict is Deletions.MARK and not accept_deletions
            held = await implausible(workplace, run_id, gone) if believes else []
            return _Walked(planned_at, verdict, gone, held)
        walker.progress.searches += len(searches)
        planned_at = await workplace.lock.work(worklist.plan_searches, workplace.warehouse, run_id, searches)


async def _read_roster(
    workplace: Workplace, run_id: int, *, accept_roster: bool
) -> tuple[tuple[str, ...], frozenset[str] | None]:
    """Return whom to search for, and who is listed (None if the roster is not accepted, or not believed)."""
    warehouse, keep_names = workplace.warehouse, workplace.settings.practitioner_names
    lists = await rosters.read_practitioners(workplace.source)
    listed_once = {p.id: p if keep_names else replace(p, name=None) for one in lists for p in one.practitioners}
    if all(one.accepted for one in lists):
        before = await warehouse.work(land.read_roster_size, warehouse)
        lists = rosters.object_to(
            lists, plan.roster_objection(listed=len(listed_once), before=before, accepted_by_operator=accept_roster)
        )
    for listed in lists:
        await workplace.lock.work(worklist.save_roster_search, warehouse, run_id, listed.walked)
    whole = all(one.accepted for one in lists)
    listed_people = list(listed_once.values())
    await workplace.lock.work(land.save_roster, warehouse, listed_people, run_id=run_id, whole=whole)
    seen = await warehouse.work(land.read_practitioners, warehouse)
    return tuple(roster.everyone(listed_people, seen)), frozenset(listed_once) if whole else None


async def _of_newly_met(workplace: Workplace, run_id: int, selection: plan.Selection) -> list[Search]:
    """Return the searches of practitioners discovered in this run, because it must read their older messages, too."""
    if not selection.everyone:
        return []
    warehouse = workplace.warehouse
    known = await warehouse.work(land.read_practitioners, warehouse)
    planned = await warehouse.work(worklist.read_planned, warehouse, run_id)
    return [search for search in plan.searches_for(known, (), ()) if search not in planned]


async def read_patients(workplace: Workplace, run_id: int) -> tuple[rosters.People, list[str]]:
    """Return the list of patients, noted in the ledger, and the patients discovered in messages."""
    discovered = await workplace.warehouse.work(sightings.known_patients, workplace.warehouse)
    listed = await rosters.read_patients(workplace.source, discovered)
    await workplace.lock.work(worklist.save_roster_search, workplace.warehouse, run_id, listed.walked)
    return listed, discovered
