"""What a search has shown, and whether it was read completely although it changed meanwhile. Pure.

**The rule.** Take one of the answers to a search, T. The search is accepted if T's `total` is the number of entries
that were seen both *not after T* (on T itself, or in an answer that had arrived before T was requested) and *not before
T* (on T itself, or in an answer that was requested after T had arrived).

**Why it holds.** The source made T at one instant between its request and its arrival. `total` is the number of entries
that existed at that instant (FHIR R4 §3.1.1.5.1: of all matches, not of those on the page). An entry that was seen not
after T and not before T existed before that instant and after it, so it existed at that instant. If there are as many
of these entries as `total` says, they are all that existed. An entry that existed all the time also existed at that
instant, so it was seen. The rule needs no `total` that stays the same, no order of the entries, and no pages that stay
where they are.

**Its one exception:** an entry that was missing at that instant and came back later is counted although it did not
exist then. So an entry that existed and was never shown may go unnoticed. The next run, or `verify`, finds it.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

Key: TypeAlias = "str | bytes"
"""What identifies an entry: its id, or its raw hash if it has none."""

_BEFORE_THE_WALK = -1


@dataclass(frozen=True, slots=True)
class Shown:
    """The match entries of one answer: the key and the raw hash of each, in the order of the page.

    `strangers` is how many were not asked for. `is_whole` is False if the source itself says that something is missing.
    """

    keys: Sequence[Key]
    raw_hashes: Sequence[bytes]
    strangers: int = 0
    is_whole: bool = True


@dataclass(slots=True)
class Reading:
    """What one reading from the first page on has shown so far: of each page its `total` and a hash of its entries.

    `served` counts entries as often as they were shown, `distinct` each of them once. `digest` is the same for all
    readings that show the same entries equally often, in whatever order and on whatever pages.
    """

    began: int = 0
    first_page: int = 0
    """How many entries the first page had."""
    pages: list[tuple[int | None, int]] = field(default_factory=list)
    served: int = 0
    distinct: int = 0
    digest: int = 0
    has_two_versions: bool = False
    """Whether an entry was shown in two versions."""

    def add(self, total: int | None, shown: Shown, requested: int) -> None:
        """Count a page."""
        if not self.pages:
            self.began, self.first_page = requested, len(shown.keys)
        self.pages.append((total, hash(tuple(shown.raw_hashes))))
        self.served += len(shown.keys)
        self.digest += sum(map(hash, shown.raw_hashes))

    @property
    def copies(self) -> int:
        """How many entries repeat an earlier one byte for byte, if `total` on every page counts the repetitions.

        0 if there are none, if a `total` does not count them, or if an entry was shown in two versions.
        """
        is_counted_so = {total for total, _ in self.pages} == {self.served} and not self.has_two_versions
        return self.served - self.distinct if is_counted_so else 0


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer that has a `total`. Times are those of `Page`; `numbers` are those of its distinct keys."""

    requested: int
    arrived: int
    total: int
    numbers: array[int]


class Tally:
    """What one walk of a search was shown, in all its readings.

    `known` are keys that were seen before this walk began. They count as seen before each of its answers. Of each key
    the tally keeps the first arrival and the last request among the answers that showed it, and the version shown last.
    """

    def __init__(self, known: Collection[Key] = frozenset()) -> None:
        self.known = known
        self.total: int | None = None
        """`total` of the answer by which the search was accepted; until then, of the last answer that had one."""
        self.is_accepted = False
        self.is_whole = True
        self.strangers = 0
        self.readings: list[Reading] = []
        """The readings that went to the last page."""
        self._reading = Reading()
        self._numbers: dict[Key, int] = {}
        self._first_arrivals: list[int] = []
        self._last_requests: list[int] = []
        self._raw_hashes: list[bytes] = []
        self._answers: list[_Answer] = []

    @property
    def entries(self) -> int:
        """How many distinct entries were shown."""
        return len(self._numbers)

    @property
    def pages(self) -> int:
        """How many pages the last complete reading had; if the first one broke off, how many it had read."""
        return len((self.readings[-1] if self.readings else self._reading).pages)

    @property
    def stands_still(self) -> bool:
        """Whether the last two readings were the same, page by page, so that another one would show nothing new."""
        return len(self.readings) > 1 and self.readings[-1].pages == self.readings[-2].pages

    def has_newer(self, key: Key, requested: int) -> bool:
        """Tell whether an answer that was requested later than at `requested` has shown this key."""
        number = self._numbers.get(key)
        return number is not None and self._last_requests[number] > requested

    def add(self, shown: Shown, total: int | None, *, requested: int, arrived: int) -> None:
        """Count one answer. The times are those of `Page`. Answers of one reading may have arrived in any order."""
        self.is_whole &= shown.is_whole
        self.strangers += shown.strangers
        self._reading.add(total, shown, requested)
        entries = zip(shown.keys, shown.raw_hashes, strict=True)
        numbers = array("I", {self._note(key, raw_hash, requested, arrived) for key, raw_hash in entries})
        if total is not None:
            self.total = total
            self._answers.append(_Answer(requested, arrived, total, numbers))

    def end_reading(self) -> None:
        """Note that the last page of a reading was counted. What is counted next belongs to another reading."""
        self._reading.distinct = sum(map(self._reading.began.__le__, self._last_requests))
        self.readings.append(self._reading)
        self._reading = Reading()
        # An answer that still does not fit after the whole next reading is dropped, so that memory and time stay
        # bounded.
        since = self.readings[-2].began if len(self.readings) > 1 else 0
        self._answers = [answer for answer in self._answers if answer.requested >= since]

    def find_instant(self) -> bool:
        """Look for an answer that fits the rule. If there is one, accept the search, with that answer's `total`."""
        arrivals, requests = sorted(self._first_arrivals), sorted(self._last_requests)
        for answer in self._answers:
            if self._fits(answer, arrivals, requests):
                self.is_accepted, self.total = True, answer.total
                break
        return self.is_accepted

    @property
    def page_size_for_copies(self) -> int | None:
        """The page size of a reading that can confirm copies, None if there is nothing to confirm.

        A source may show the same entry twice and count it twice (a join). A page that repeats itself, or paging by an
        order that is not unique, looks the same, but shows an entry twice instead of another one: `total` is right, and
        every reading is the same. Only in the second case does the page size decide which entry is shown twice.
        """
        if not self.stands_still or self.readings[-1].copies == 0 or self.readings[-1].first_page < 2:
            return None
        return self.readings[-1].first_page - 1

    def confirm_copies(self) -> bool:
        """Accept the search if the last reading, with another page size, showed each entry as often as before."""
        one, other = self.readings[-2:]
        same = one.digest == other.digest and one.copies == other.copies > 0
        if same and one.first_page != other.first_page:
            self.is_accepted = True
        return self.is_accepted

    def _fits(self, answer: _Answer, arrivals: Sequence[int], requests: Sequence[int]) -> bool:
        """Tell whether the number of entries seen not after and not before an answer is its `total`.

        If an entry seen before the answer was not seen after it, the answer says that the entry is gone. One answer
        that contradicts others is not believed until a whole later reading, or two readings that are the same, confirm
        it.
        """
        first, last = self._first_arrivals, self._last_requests
        not_after = bisect_right(arrivals, answer.requested)
        not_after += sum(first[number] > answer.requested for number in answer.numbers)
        not_before = len(requests) - bisect_left(requests, answer.arrived)
        not_before += sum(last[number] < answer.arrived for number in answer.numbers)
        if min(not_after, not_before) < answer.total:
            return False
        both = len(self._seen_on_both_sides(answer))
        if both != answer.total:
            return False
        began = self.readings[-1].began if self.readings else 0
        return not_after == both or began > answer.arrived or self.stands_still

    def _seen_on_both_sides(self, answer: _Answer) -> set[int]:
        """Return the numbers of the keys that were seen not after and not before an answer."""
        sightings = enumerate(zip(self._first_arrivals, self._last_requests, strict=True))
        both = {number for number, (first, last) in sightings if first <= answer.requested and last >= answer.arrived}
        return both.union(answer.numbers)

    def _note(self, key: Key, raw_hash: bytes, requested: int, arrived: int) -> int:
        number = self._numbers.setdefault(key, len(self._numbers))
        if number == len(self._first_arrivals):
            self._first_arrivals.append(_BEFORE_THE_WALK if key in self.known else arrived)
            self._last_requests.append(requested)
            self._raw_hashes.append(raw_hash)
            return number
        if self._raw_hashes[number] != raw_hash and self._last_requests[number] >= self._reading.began:
            self._reading.has_two_versions = True
        self._raw_hashes[number] = raw_hash
        self._first_arrivals[number] = min(self._first_arrivals[number], arrived)
        self._last_requests[number] = max(self._last_requests[number], requested)
        return number
