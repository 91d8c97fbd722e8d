"""The decisions of a run: what to search and in which order, which runs to resume, how the run ended. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING

from worker.jobs.run.deletions import UNBELIEVED, Deletions
from worker.records import Search

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime, timedelta

    from worker.load.ledger import OpenRun, RunSums
    from worker.records import Communication

UNSEEN_FLOOR = 10
UNSEEN_SHARE = 0.9
TOO_MANY_MISSING = "too_many_missing"
NOT_LISTED = "not_listed"
"""The reason of a search that is refused for a practitioner who left the roster. It makes no run incomplete."""
REFUSED_BY_NAME = frozenset({"http_400", "http_404", "http_410", "http_422"})
HIDES_MESSAGES = "hides_messages"
"""The reason of a search that was walked twice and does not show what the source has by id."""
QUARANTINE = "quarantine"
ROSTER_EMPTY = "roster_empty"
ROSTER_SHRUNK = "roster_shrunk"


class Outcome(StrEnum):
    """How a run ended."""

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Selection:
    """What a run asks for; everything if nothing is named. `since` ≤ sent < `until` (aware datetimes) limit what lands.

    `by_patient` adds the searches of every patient to a selection of everything. `quick` looks at first pages
    only, and walks just the searches that look changed there.
    """

    practitioners: tuple[str, ...] = ()
    patients: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    by_patient: bool = False
    quick: bool = False

    @property
    def everyone(self) -> bool:
        """Whether no practitioner, patient or message was named."""
        return not (self.practitioners or self.patients or self.ids)

    @property
    def windowed(self) -> bool:
        """Whether messages are left out by their date. Then no fingerprints are written."""
        return self.since is not None or self.until is not None

    @property
    def scope(self) -> str:
        """`full`, `quick` or `selected`, for the ledger."""
        if self.quick:
            return "quick"
        return "full" if self.everyone and not self.windowed else "selected"

    def selection_key(self) -> str:
        """Return a hash that two runs share only if they ask for the same."""
        asked = (
            sorted(self.practitioners),
            sorted(self.patients),
            sorted(self.ids),
            self.since and self.since.isoformat(),
            self.until and self.until.isoformat(),
            self.by_patient,
            self.quick,
        )
        return sha256(repr(asked).encode()).hexdigest()

    def wants(self, communication: Communication) -> bool:
        """Tell whether to land a message. One without `sent` is landed, because nobody knows that it is outside."""
        sent = communication.sent
        if sent is None:
            return True
        return (self.since is None or sent >= self.since) and (self.until is None or sent < self.until)


def searches_for(practitioners: Iterable[str], patients: Iterable[str], ids: Iterable[str]) -> list[Search]:
    """Return the searches for these people and messages: two for each person, one for each id."""
    people = [f"Practitioner/{id}" for id in practitioners], [f"Patient/{id}" for id in patients]  # noqa: A001
    searches = [
        Search(parameter, reference)
        for references in people
        for reference in dict.fromkeys(references)
        for parameter in ("recipient", "sender")
    ]
    return searches + [Search("_id", id) for id in dict.fromkeys(ids)]  # noqa: A001


def longest_first(searches: Sequence[Search], sizes: Mapping[tuple[str, str], int]) -> list[Search]:
    """Order practitioners' searches before patients', and within each the longest first, by its last known size.

    The pages of one search come one after the other. So the longest search decides when a run ends, and must not begin
    last.
    """
    return sorted(
        searches,
        key=lambda search: (
            search.value.startswith("Patient/"),
            -sizes.get((search.parameter, search.value), 0),
            search.value,
            search.parameter,
        ),
    )


def roster_objection(*, listed: int, before: int | None, accepted_by_operator: bool) -> str | None:
    """Return in a word why an accepted roster is not believed, or None if it is.

    `listed` is how many practitioners it names, active or not. `before` is how many the last believed roster named,
    None if there was none. A roster of nobody, or of half as many or fewer, looks like a fault of the source or of the
    client's scope. Once the operator has accepted it, the next roster is compared with it.
    """
    if accepted_by_operator or before == 0:
        return None
    if listed == 0:
        return ROSTER_EMPTY
    return ROSTER_SHRUNK if before is not None and 2 * listed <= before else None


@dataclass(frozen=True, slots=True)
class Resumption:
    """Which abandoned run is resumed, if any, and which are closed as interrupted."""

    resume: int | None
    close: tuple[int, ...]


def resumption(
    abandoned: Sequence[OpenRun],
    *,
    job: str,
    selection_key: str,
    quick: bool = False,
    within: timedelta | None,
    restart: bool,
) -> Resumption:
    """Decide what to do with abandoned runs (newest first). If `within` is None, their age does not matter.

    A full sync closes every other sync, because it reads everything that they would. A quick sync does not: the next
    full sync is to resume an abandoned full sync. A backfill stays open for the next one that asks for the same,
    however late.
    """
    same = [run for run in abandoned if (run.job, run.selection_key) == (job, selection_key)]
    young = [run for run in same if not restart and (within is None or run.age < within)]
    resume = young[0].id if young else None
    closes_others = job == "sync" and not quick
    close = tuple(run.id for run in abandoned if run.job == job and (closes_others or run in same) and run.id != resume)
    return Resumption(resume, close)


def is_refused_by_name(search: Search, reason: str | None, pages: int, listed: Collection[str] | None) -> bool:
    """Tell whether the source refuses to search for a practitioner who is no longer on its roster.

    The source does not know them any more, and that must not make every run incomplete, so the reason is `NOT_LISTED`.
    `listed` is who is on the roster, None if unknown. `pages` is how many pages the search showed before it was
    refused.
    """
    kind, _, practitioner = search.value.partition("/")
    is_unlisted = kind == "Practitioner" and listed is not None and practitioner not in listed
    return is_unlisted and pages == 0 and reason in REFUSED_BY_NAME


def outcome(sums: RunSums, verdict: Deletions = Deletions.NONE_FOUND) -> Outcome:
    """Return the outcome of a run whose searches are all done: complete if all were accepted, failed if none was.

    More new quarantine than max(10, 1 % of the entries) makes it incomplete, because something at the source has
    changed its form. Later runs are incomplete, too, while these entries are open and no operator has accepted them.
    Deletions that were not believed also make it incomplete.
    """
    if sums.searches and not sums.accepted:
        return Outcome.FAILED
    if sums.accepted < sums.searches or verdict in UNBELIEVED or sums.is_flooded:
        return Outcome.INCOMPLETE
    return Outcome.COMPLETE


def reason(sums: RunSums, verdict: Deletions) -> str | None:
    """Return in a word why a run is not complete, apart from its searches; None if there is no such reason."""
    if verdict in UNBELIEVED:
        return verdict.value
    return QUARANTINE if sums.is_flooded else None


def changed_unseen(sums: RunSums) -> bool:
    """Tell whether nearly all known messages of a run changed, but in nothing that an analyst sees.

    Then something in each resource differs at each read, and makes a version of it every night.
    """
    known = sums.entries - sums.new - sums.outside - sums.quarantined
    is_much = sums.changed > UNSEEN_FLOOR and sums.changed >= UNSEEN_SHARE * known
    return is_much and sums.unseen >= UNSEEN_SHARE * sums.changed
