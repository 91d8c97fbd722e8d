"""The nightly job: every practitioner's messages, received and sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.extract.client import Source
from worker.jobs.run import mirror
from worker.jobs.run.plan import Selection
from worker.jobs.run.progress import Report, no_report
from worker.jobs.run.workplace import Connect, open_workplace

if TYPE_CHECKING:
    from worker.settings import Settings


async def sync(
    settings: Settings,
    report: Report = no_report,
    *,
    quick: bool = False,
    accept_deletions: bool = False,
    accept_roster: bool = False,
    connect: Connect = Source.open,
) -> mirror.RunResult:
    """Mirror everything once. Resume a sync that was interrupted less than `MIRROR_RESUME_WITHIN` ago.

    `quick` reads first pages only. `accept_deletions` marks all messages that the source no longer knows, however many.
    `accept_roster` believes a list of nobody, or of half as many practitioners as before.
    Raises any MirrorError.
    """
    async with open_workplace(settings, "sync", connect) as workplace:
        return await mirror.run(
            workplace,
            job="sync",
            selection=Selection(quick=quick),
            resume_within=settings.resume_within,
            report=report,
            accept_deletions=accept_deletions,
            accept_roster=accept_roster,
        )
