"""Whether the walk of a search is accepted: what it saw, page by page, must add up. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from worker.defects import guarded
from worker.records import Reason, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable

    from worker.load.marks import Mark
    from worker.records import Communication, Search

WALKS_MAX = 3
"""How often a search is walked before it is given up as not accepted."""


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


def belongs(communication: Communication, search: Search) -> bool:
    """Tell whether a message is what the search asked for; if not, the server ignored its filter."""
    if search.parameter == "_id":
        return communication.id == search.value
    if search.parameter == "sender":
        return str(communication.sender) == search.value
    return any(str(recipient) == search.value for recipient in communication.recipients)


def judged(record: Communication, entry: bytes, search: Search) -> tuple[Communication | Rejected, bool]:
    """Return a message, and whether the search did not ask for it. One that our own code fails on is set aside."""

    def judge() -> tuple[Communication | Rejected, bool]:
        return record, not belongs(record, search)

    return guarded(judge, lambda: (Rejected(Reason.DEFECT, record.id, entry, record.raw_hash), False))


def looks_unchanged(total: int | None, raw_hashes: Iterable[bytes], mark: Mark, *, is_only: bool) -> bool:
    """Tell whether a first page gives no reason to walk its search: same total, and nothing on it is new or other.

    One that contradicts itself does: the only page shows `total` entries, and one before others at least one.
    """
    hashes = set(raw_hashes)
    adds_up = len(hashes) == total if is_only else bool(hashes)
    return total is not None and total == mark.total and adds_up and hashes <= mark.usable.keys()
