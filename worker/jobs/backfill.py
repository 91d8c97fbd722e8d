"""The on-demand job: everything, by practitioner and then by patient, or only what is named."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from worker.errors import SourceAway, WarehouseAway
from worker.extract import roster
from worker.extract.client import Source
from worker.jobs.run import mirror, plan, rosters
from worker.jobs.run.progress import Progress, Report, no_report
from worker.jobs.run.sizes import ask_sizes
from worker.jobs.run.workplace import Connect, known_practitioners, open_source, open_workplace
from worker.load.report import count_in_vain

if TYPE_CHECKING:
    from worker.records import Search
    from worker.settings import Settings

PAGE_ENTRIES = 100
WITHOUT_RESTART = "Without --restart it resumes what was begun."


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a backfill would ask for: searches, messages, requests. `unknown` is how many searches got no answer."""

    searches: int
    messages: int
    requests: int
    unknown: int


async def backfill(
    settings: Settings,
    selection: plan.Selection,
    report: Report = no_report,
    *,
    restart: bool = False,
    connect: Connect = Source.open,
) -> mirror.RunResult:
    """Mirror what `selection` names. Resume an interrupted backfill, however old it is, unless `restart`.

    Raises any MirrorError.
    """
    async with open_workplace(settings, "backfill", connect) as workplace:
        try:
            result = await mirror.run(
                workplace, job="backfill", selection=selection, resume_within=None, report=report, restart=restart
            )
        except (SourceAway, WarehouseAway) as away:
            if restart:
                away.next += f" {WITHOUT_RESTART}"
            raise
        searches = plan.searches_for(selection.practitioners, selection.patients, selection.ids)
        values = [search.value for search in searches]
        in_vain = await workplace.warehouse.work(count_in_vain, workplace.warehouse, result.run_id, values)
        return replace(result, in_vain=in_vain)


async def estimate(settings: Settings, selection: plan.Selection, report: Report = no_report) -> Estimate:
    """Ask each search for its total with one small request, and land nothing. Raises any MirrorError."""
    seen = await known_practitioners(settings)
    async with open_source(settings) as source:
        searches, listing_requests = await _searches(source, selection, seen)
        progress = Progress(searches=len(searches))

        def asked() -> None:
            progress.searches_done += 1
            report(progress)

        sizes = await ask_sizes(source, searches, settings.concurrency, asked)
        return Estimate(
            searches=len(searches),
            messages=sum(sizes.values()),
            requests=listing_requests + sum(map(requests_for, sizes.values())),
            unknown=len(searches) - len(sizes),
        )


def requests_for(total: int) -> int:
    """Return how many requests a first walk of `total` entries takes: all pages, and all but the last again."""
    pages = max(1, -(-total // PAGE_ENTRIES))
    return 2 * pages - 1


async def _searches(source: Source, selection: plan.Selection, seen: list[str]) -> tuple[list[Search], int]:
    practitioners, patients, requests = selection.practitioners, selection.patients, 0
    if selection.everyone:
        lists = await rosters.read_practitioners(source)
        practitioners = tuple(roster.everyone((p for one in lists for p in one.practitioners), seen))
        # The active ones are read once more (`rosters.read_practitioners`).
        requests = sum(requests_for(one.walked.total or 0) for one in (*lists, lists[0]))
        if selection.by_patient:
            listed = await rosters.read_patients(source, ())
            patients = listed.ids
            requests += requests_for(listed.walked.total or 0)
    return plan.searches_for(practitioners, patients, selection.ids), requests
