"""A busy inbox completes in its first sync. `make proof PART=readings` does by the clock what is here by requests."""

from __future__ import annotations

import pytest

from tests.faults.busy import PLACES, Inbox, Place, sync_first
from worker.jobs.run.plan import Outcome


@pytest.mark.parametrize("place", PLACES)
async def test_an_inbox_that_grows_while_it_is_read_is_complete(place: Place, warehouse_url: str) -> None:
    """Fifteen pages a side, a new message at every eighth request: whatever was there at first is there, at once."""
    first = await sync_first(warehouse_url, Inbox(300, place, page=20, every_requests=8))
    assert first.added > 5
    assert (first.outcome, first.missed) == (Outcome.COMPLETE, set())
    assert first.walks == 1


async def test_one_that_stands_still_is_read_no_oftener_than_it_must_be(warehouse_url: str) -> None:
    """Each of fifteen pages, and all but the last again, of either side."""
    first = await sync_first(warehouse_url, Inbox(300, "at the end", page=20))
    assert (first.outcome, first.requests, first.walks) == (Outcome.COMPLETE, 58, 1)
