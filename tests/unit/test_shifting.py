"""A walk over a list that changes between its pages: an accepted one missed nothing that stood still."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.jobs import acceptance
from worker.jobs.acceptance import Tally, objection

if TYPE_CHECKING:
    from collections.abc import Iterable

Change = tuple[str, int]
"""`goes` or `comes`, and where."""

NOTHING: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Shifting:
    """A list of `rows` in pages, and what changes behind each request. Who went does not come back."""

    rows: int
    page: int
    changes: tuple[tuple[Change, ...], ...]
    seen_before: bool = False

    def walk(self) -> tuple[Tally, set[str]]:
        """Walk it as the mirror does, its second reading included. Return the tally, and who stood still."""
        rows = [f"old-{number}" for number in range(self.rows)]
        known = set(rows) if self.seen_before else set()
        steady, new, waiting = set(rows), 0, list(self.changes)
        tally = Tally()

        def change() -> None:
            nonlocal new
            for kind, place in waiting.pop(0) if waiting else NOTHING:
                if kind == "comes":
                    rows.insert(place % (len(rows) + 1), f"new-{new}")
                    new += 1
                elif rows:
                    steady.discard(rows.pop(place % len(rows)))

        offset = 0
        while offset == 0 or offset < len(rows):
            keys = rows[offset : offset + self.page]
            tally.add_page(len(rows), keys, strangers=0, newcomers=len(set(keys) - known))
            offset += self.page
            change()
        offset = 0
        while tally.needs_first_page_again and not tally.is_read_again and (offset == 0 or offset < len(rows)):
            tally.add_page_again(len(rows), rows[offset : offset + self.page])
            offset += self.page
            change()
        return tally, steady


def loses(shifting: Shifting) -> bool:
    """Whether the walk is accepted though it did not see somebody who stood still."""
    tally, steady = shifting.walk()
    return objection(tally) is None and not steady <= tally.keys


# One went and one came while it was read, and another came while it was read again.
CAME_WHILE_READ_AGAIN = Shifting(
    9, 3, (NOTHING, (("goes", 3), ("comes", 8)), NOTHING, (("comes", 3),), NOTHING, NOTHING)
)
# The same, but one went for whom came: `total` says nothing.
SWAPPED_WHILE_READ_AGAIN = Shifting(
    9, 3, (NOTHING, (("goes", 3), ("comes", 8)), NOTHING, (("goes", 8), ("comes", 3)), NOTHING, NOTHING)
)
# Between the pages of a search that is known.
SWAPPED_WITH_SOMEBODY_NEW = Shifting(9, 3, (NOTHING, (("goes", 3), ("comes", 8))), seen_before=True)
CASES = [CAME_WHILE_READ_AGAIN, SWAPPED_WHILE_READ_AGAIN, SWAPPED_WITH_SOMEBODY_NEW]

changes = st.tuples(st.sampled_from(("goes", "comes")), st.integers(0, 12))
shiftings = st.builds(
    Shifting,
    st.integers(0, 9),
    st.integers(1, 3),
    st.lists(st.lists(changes, max_size=3).map(tuple), max_size=12).map(tuple),
    st.booleans(),
)


@given(shiftings)
@example(CAME_WHILE_READ_AGAIN)
@example(SWAPPED_WHILE_READ_AGAIN)
@example(SWAPPED_WITH_SOMEBODY_NEW)
def test_an_accepted_walk_missed_nothing_that_stood_still(shifting: Shifting) -> None:
    assert not loses(shifting)


def some(random: Random, count: int) -> Iterable[Shifting]:
    """Yield lists in which what goes is made up for, most often: the rest shows in `total`."""
    for _ in range(count):
        swaps = [
            tuple((kind, random.randrange(10)) for kind in random.choice(((), (), ("goes", "comes"), ("comes",))))
            for _ in range(8)
        ]
        yield Shifting(random.randrange(4, 10), random.randrange(2, 4), tuple(swaps), random.random() < 0.3)


def test_an_accepted_walk_missed_nothing_in_many_that_shift() -> None:
    random = Random(1)  # noqa: S311  seeded, to be the same again
    walks = [(one, objection(one.walk()[0])) for one in some(random, 20_000)]
    assert not any(map(loses, (one for one, _ in walks)))
    assert sum(reason is None for _, reason in walks) > 1_000


@pytest.mark.parametrize(
    ("rule", "mistake"),
    [("needs_all_pages_again", False), ("was_there_at_the_end", True)],
    ids=["nothing is read again", "what is read again is not compared"],
)
def test_a_laxer_rule_is_caught(rule: str, *, mistake: bool) -> None:
    random = Random(1)  # noqa: S311  seeded, to be the same again
    with patch.object(acceptance.Tally, rule, mistake):
        assert any(map(loses, some(random, 20_000)))
        assert any(map(loses, CASES))


def test_totals_are_compared_while_a_walk_is_read_again() -> None:
    tally, _ = CAME_WHILE_READ_AGAIN.walk()
    assert objection(tally) == "total_changed"
    tally, _ = SWAPPED_WHILE_READ_AGAIN.walk()
    assert objection(tally) == "pages_changed"
