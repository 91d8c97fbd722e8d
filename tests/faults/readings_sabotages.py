"""Laxer rules for what was read completely, which the proof `readings` must notice."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest.mock import patch

from worker.extract.ahead import Ahead
from worker.jobs.run.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from worker.jobs.run.tally import _Answer
    from worker.records import Page


def _equal_counts_alone() -> AbstractContextManager[object]:
    """Accept as soon as as many entries were shown as some answer says there are."""

    def fits(self: Tally, answer: _Answer, *_: Sequence[int]) -> bool:
        return self.entries == answer.total

    return patch.object(Tally, "_fits", fits)


def _before_and_after_not_told_apart() -> AbstractContextManager[object]:
    """Count what was seen on either side of an answer, not on both."""

    def fits(self: Tally, answer: _Answer, *_: Sequence[int]) -> bool:
        sightings = enumerate(zip(self._first_arrivals, self._last_requests, strict=True))
        either = {one for one, (first, last) in sightings if first <= answer.requested or last >= answer.arrived}
        return len(either.union(answer.numbers)) == answer.total

    return patch.object(Tally, "_fits", fits)


def _pages_that_no_longer_follow_are_counted() -> AbstractContextManager[object]:
    """Take the pages that were asked for ahead for those of this reading, whatever the links name now."""
    get = Ahead.get

    async def as_before(self: Ahead, url: str) -> Page:
        ahead = self._under_way[0][0] if self._under_way else next(iter(self._waiting), url)
        return await get(self, ahead)

    return patch.object(Ahead, "get", as_before)


SABOTAGES: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "equal counts alone": _equal_counts_alone,
    "before and after not told apart": _before_and_after_not_told_apart,
    "pages that no longer follow are counted": _pages_that_no_longer_follow_are_counted,
}
