"""A search that changes while it is read: an accepted one missed nothing that was there, and no laxer rule is as good.

The small form of `make proof PART=readings`.
"""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.faults import readings
from tests.faults.readings_sabotages import SABOTAGES
from tests.faults.shifting import Schedule, Step, draw, read

if TYPE_CHECKING:
    from tests.faults.shifting import Event

places = st.integers(-1, 12)
events: st.SearchStrategy[Event] = st.tuples(st.sampled_from(("comes", "goes", "moves")), places, places)
steps = st.builds(Step, st.lists(events, max_size=3).map(tuple), st.integers(0, 3), st.integers(0, 3))
schedules = st.builds(
    Schedule,
    rows=st.integers(0, 12),
    page=st.integers(2, 5),
    steps=st.lists(steps, max_size=20).map(tuple),
    known=st.booleans(),
    sessions=st.booleans(),
)


@given(schedules)
def test_an_accepted_search_missed_nothing_that_was_there(schedule: Schedule) -> None:
    assert not asyncio.run(read(schedule)).missed


async def test_an_accepted_search_missed_nothing_in_many_that_shift() -> None:
    result = await readings.prove(Random(1), 3_000)  # noqa: S311  seeded, to be the same again
    assert result.violations == []
    assert result.counts["accepted"] > 2_800
    assert result.counts["accepted after several readings"] > 500


@pytest.mark.parametrize("sabotage", SABOTAGES)
async def test_a_laxer_rule_is_caught(sabotage: str) -> None:
    with SABOTAGES[sabotage]():
        result = await readings.prove(Random(1), 20_000, until_violated=True)  # noqa: S311
    assert result.violations


async def test_a_search_that_stands_still_is_read_no_oftener_than_it_must_be() -> None:
    """Known: each page once. New: each page but the last a second time."""
    for rows, pages in ((0, 1), (3, 1), (6, 2), (11, 4)):
        assert (await read(Schedule(rows, 3, (), known=True))).requests == pages
        assert (await read(Schedule(rows, 3, (), known=True, sessions=True))).requests == pages
        assert (await read(Schedule(rows, 3, ()))).requests == 2 * pages - 1
        assert (await read(Schedule(rows, 3, (), sessions=True))).requests <= 2 * pages


async def test_pages_that_are_asked_for_side_by_side_arrive_in_any_order() -> None:
    """Or nothing of the above would have been tried."""
    random, overtaken = Random(3), 0  # noqa: S311
    for _ in range(200):
        overtaken += (await read(draw(random))).overtaken
    assert overtaken > 50
