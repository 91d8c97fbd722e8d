"""The decisions of a run: what to search, in which order, whether a walk is accepted, what a run has come to. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING

from worker.records import Search

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime, timedelta

    from worker.load.ledger import OpenRun, RunSums
    from worker.load.marks import Mark
    from worker.records import Communication, Practitioner

WALKS_MAX = 3
DELETIONS_FLOOR = 50
DELETIONS_SHARE = 0.05
TOO_MANY_MISSING = "too_many_missing"
QUARANTINE_FLOOR = 10
QUARANTINE_SHARE = 0.01


class Outcome(StrEnum):
    """How a run ended."""

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Selection:
    """What is asked for. All empty: everything. `since` ≤ sent < `until`, aware datetimes, limit what is landed.

    `by_patient` adds the second cover, a search per patient, to a selection of everything. `quick` looks at first pages
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
        """Whether some messages are left out by their date: then no marks are written."""
        return self.since is not None or self.until is not None

    @property
    def scope(self) -> str:
        """`full`, `quick` or `selected`, for the ledger."""
        if self.quick:
            return "quick"
        return "full" if self.everyone and not self.windowed else "selected"

    def fingerprint(self) -> str:
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
        """Tell whether a message is to be landed. One without `sent` is: nobody knows that it is outside."""
        sent = communication.sent
        if sent is None:
            return True
        return (self.since is None or sent >= self.since) and (self.until is None or sent < self.until)


def searches_for(practitioners: Iterable[str], patients: Iterable[str], ids: Iterable[str]) -> list[Search]:
    """Return the searches that cover these people and messages: two for each person, one for each id."""
    people = [f"Practitioner/{id}" for id in practitioners], [f"Patient/{id}" for id in patients]  # noqa: A001
    searches = [
        Search(parameter, reference)
        for references in people
        for reference in dict.fromkeys(references)
        for parameter in ("recipient", "sender")
    ]
    return searches + [Search("_id", id) for id in dict.fromkeys(ids)]  # noqa: A001


def longest_first(searches: Sequence[Search], sizes: Mapping[tuple[str, str], int]) -> list[Search]:
    """Order practitioners' searches before patients', and in each the longest first by its last known size.

    Pages of one search come one after the other, so the longest decides when a run ends: it must not begin last.
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


@dataclass(slots=True)
class Tally:
    """What one walk of a search saw, page by page. `key` of an entry is its id, or its raw hash if it has none."""

    totals: set[int | None] = field(default_factory=set)
    keys: set[str | bytes] = field(default_factory=set)
    first_page: frozenset[str | bytes] = frozenset()
    first_page_again: frozenset[str | bytes] | None = None
    last_page: frozenset[str | bytes] = frozenset()
    keys_again: set[str | bytes] = field(default_factory=set)
    pages: int = 0
    pages_again: int = 0
    strangers: int = 0
    newcomers: int = 0
    is_whole: bool = True
    """False if the source itself said of a page that its results are not whole."""

    def add_page(self, total: int | None, keys: Iterable[str | bytes], strangers: int, newcomers: int) -> None:
        """Count a page: its `total`, the keys of its match entries, how many of them were not asked for.

        `newcomers` of them the last accepted walk did not show: all where nobody remembers that walk.
        """
        self.last_page = frozenset(keys)
        if self.pages == 0:
            self.first_page = self.last_page
        self.totals.add(total)
        self.keys |= self.last_page
        self.strangers += strangers
        self.newcomers += newcomers
        self.pages += 1

    def add_page_again(self, total: int | None, keys: Iterable[str | bytes]) -> None:
        """Count a page that was read once more after the last one, from the first on."""
        page_keys = frozenset(keys)
        if self.pages_again == 0:
            self.first_page_again = page_keys
        self.totals.add(total)
        self.keys_again |= page_keys
        self.pages_again += 1

    @property
    def total(self) -> int | None:
        """`Bundle.total`, if it was one number throughout."""
        return next(iter(self.totals)) if len(self.totals) == 1 else None

    @property
    def needs_first_page_again(self) -> bool:
        """Whether there were several pages: only then can rows have shifted between them."""
        return self.pages > 1

    @property
    def needs_all_pages_again(self) -> bool:
        """Whether a row may have been skipped that neither `total` nor the first page betrays.

        When one row vanishes before the page that is read next and another appears after it, the row between the two
        pages is skipped and `total` stays. If nothing was shown that the last accepted walk had not shown, that cannot
        be: all that was shown was there when the first page was read, and with `total` distinct ones that was all there
        was. The exception: a row that was away when this walk began, and came back. To notice that, every unchanged
        search would have to be read twice; the next run, or `verify`, finds the row.
        """
        return self.pages > 2 and self.newcomers > 0

    @property
    def is_read_again(self) -> bool:
        """Whether as many pages were read again as are needed, or enough to see that the walk will not be accepted."""
        if self.first_page_again is None:
            return False
        if not self.needs_all_pages_again or self.first_page_again != self.first_page or len(self.totals) > 1:
            return True
        return self.pages_again >= self.pages - 1

    @property
    def was_there_at_the_end(self) -> bool:
        """Whether all that was shown was there when the last page was read: shown on it, or before it and after it.

        With `total` distinct ones that was all there was, whatever came, went or moved before and after. The exception,
        again, is a row that was away just then, and came back.
        """
        return self.keys - self.last_page <= self.keys_again


def objection(tally: Tally) -> str | None:
    """Return why a walk is not accepted, in a word, or None if it is.

    Accepted is a walk whose `total` was the same on every page (FHIR R4 §3.1.1.5.1: the number of matches, not of
    entries on the page), whose entries count to it, all of them asked for, whose first page is the same at the end, and
    of which the source did not say itself that something is missing (§3.1.1.5.3).
    Where that leaves room for a skipped row (`needs_all_pages_again`), all pages but the last must have been read again
    and have shown again what they had shown.
    """
    if None in tally.totals or not tally.totals:
        return "no_total"
    if not tally.is_whole:
        return "results_not_whole"
    if len(tally.totals) > 1:
        return "total_changed"
    if tally.strangers:
        return "filter_ignored"
    if len(tally.keys) != tally.total:
        return "too_few_entries" if len(tally.keys) < (tally.total or 0) else "too_many_entries"
    if tally.needs_first_page_again and tally.first_page_again != tally.first_page:
        return "first_page_changed"
    if tally.needs_all_pages_again and not tally.was_there_at_the_end:
        return "pages_changed"
    return None


def without_name(practitioner: Practitioner) -> Practitioner:
    """Return the practitioner as it is stored unless `MIRROR_PRACTITIONER_NAMES` is on."""
    return replace(practitioner, name=None)


def belongs(communication: Communication, search: Search) -> bool:
    """Tell whether a message is what the search asked for; if not, the server ignored its filter."""
    if search.parameter == "_id":
        return communication.id == search.value
    if search.parameter == "sender":
        return str(communication.sender) == search.value
    return any(str(recipient) == search.value for recipient in communication.recipients)


@dataclass(frozen=True, slots=True)
class Resumption:
    """Which died run is taken up again, if any, and which are closed as interrupted."""

    resume: int | None
    close: tuple[int, ...]


def resumption(
    died: Sequence[OpenRun],
    *,
    job: str,
    selection: str,
    quick: bool = False,
    within: timedelta | None,
    restart: bool,
) -> Resumption:
    """Decide what becomes of runs that died (newest first). `within` None: whatever their age.

    A full sync closes any other sync, since it reads all that they would have. A quick one does not: the night that
    died is the next full sync's to go on with. A backfill is left open for whoever asks for the same again, however
    late.
    """
    same = [run for run in died if (run.job, run.selection) == (job, selection)]
    young = [run for run in same if not restart and (within is None or run.age < within)]
    resume = young[0].id if young else None
    closes_others = job == "sync" and not quick
    close = tuple(run.id for run in died if run.job == job and (closes_others or run in same) and run.id != resume)
    return Resumption(resume, close)


def looks_unchanged(total: int | None, raw_hashes: Iterable[bytes], mark: Mark) -> bool:
    """Tell whether a first page gives no reason to walk its search: same total, and nothing on it is new or other."""
    return total is not None and total == mark.total and all(raw_hash in mark.usable for raw_hash in raw_hashes)


def deletions_max(live: int) -> int:
    """Return how many messages a run may mark as deleted by itself, of so many live ones."""
    return max(DELETIONS_FLOOR, int(DELETIONS_SHARE * live))


class Deletions(StrEnum):
    """What is done about messages that the source no longer knows by id."""

    NONE_FOUND = "none_found"
    MARK = "mark"
    NOT_A_FULL_RUN = "not_a_full_run"
    RUN_NOT_ACCEPTED = "run_not_accepted"
    TOO_MANY = "too_many"
    SOURCE_UNRELIABLE = "source_unreliable"


def deletions(
    *, gone: int, live: int, scope: str, all_accepted: bool, source_knows_ids: bool, accepted_by_operator: bool
) -> Deletions:
    """Decide whether messages that are gone may be marked as deleted.

    Only in a full run all of whose searches were accepted; only if the source knows by id what it has just shown (a
    token whose scope shrank answers `total` 0 to everything); and never very many, unless the operator said so.
    """
    if gone == 0:
        return Deletions.NONE_FOUND
    if scope != "full":
        return Deletions.NOT_A_FULL_RUN
    if gone > deletions_max(live) and not accepted_by_operator:
        return Deletions.TOO_MANY
    if not all_accepted:
        return Deletions.RUN_NOT_ACCEPTED
    return Deletions.MARK if source_knows_ids or accepted_by_operator else Deletions.SOURCE_UNRELIABLE


def outcome(sums: RunSums, verdict: Deletions = Deletions.NONE_FOUND) -> Outcome:
    """Return what a run has come to whose searches are all done: complete if all were accepted, failed if none was.

    More new quarantine than max(10, 1 % of the entries) makes it incomplete: something at the source has changed shape.
    So do deletions that were not believed.
    """
    if sums.searches and not sums.accepted:
        return Outcome.FAILED
    unbelieved = verdict in {Deletions.TOO_MANY, Deletions.SOURCE_UNRELIABLE}
    if sums.accepted < sums.searches or unbelieved or quarantine_flooded(sums):
        return Outcome.INCOMPLETE
    return Outcome.COMPLETE


def quarantine_flooded(sums: RunSums) -> bool:
    """Tell whether a run put more entries in quarantine than odd records explain."""
    return sums.quarantined > max(QUARANTINE_FLOOR, QUARANTINE_SHARE * sums.entries)
