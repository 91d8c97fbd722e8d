"""A source that ignores what the roster asks for: a run that may have missed somebody does not call itself complete."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from unittest.mock import patch

from tests.faults.script import Faults, Script
from tests.faults.worlds import open_world
from worker.extract.roster import RosterSearch
from worker.jobs.run.plan import Outcome
from worker.sandbox.population import make_clinic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.jobs.run.mirror import RunResult

IGNORED = Script(lasting=((1, "roster_filters_ignored"),))
ROSTER = "SELECT value, status, reason FROM canvas_ops.search WHERE resource = 'Practitioner' ORDER BY id"


@contextmanager
def whoever_is_listed_was_asked_for() -> Iterator[None]:
    """Sabotage: nobody looks whether those who are listed are active or not."""
    with patch.object(RosterSearch, "asked_for", lambda *_: True):
        yield


async def ignored(warehouse_url: str) -> tuple[RunResult, list[tuple[str, ...]], list[str], list[str]]:
    """Run a sync whose roster parameters are ignored, and one whose are not.

    Return the first, what became of its roster searches, and where the mirror differs from the source after either.
    """
    clinic = make_clinic(messages=60, practitioners=5, patients=8, seed=1)
    assert {person.active for person in clinic.practitioners.values()} == {True, False}
    faults = Faults(clinic)
    async with open_world(warehouse_url, clinic, middlewares=[faults.middleware]) as world:
        faults.begin(IGNORED)
        result = await world.sync()
        roster = [tuple(row) for row in await world.database.fetch(ROSTER)]
        missed = await world.differences()
        faults.begin()
        assert (await world.sync()).outcome is Outcome.COMPLETE
        return result, roster, missed, await world.differences()


async def test_a_roster_whose_parameters_are_ignored(warehouse_url: str) -> None:
    """Active practitioners in answer to `active=false`: not accepted, the run says why, and the next has them all."""
    result, roster, missed, missed_later = await ignored(warehouse_url)
    assert (result.outcome, result.reasons) == (Outcome.INCOMPLETE, {"filter_ignored": 1})
    assert roster == [("true", "accepted", None), ("false", "not_accepted", "filter_ignored")]
    assert missed
    assert missed_later == []


async def test_believed_it_loses_messages(warehouse_url: str) -> None:
    """Sabotage: a run that takes whoever is listed for whom it asked for is complete, and lacks messages."""
    with whoever_is_listed_was_asked_for():
        result, _, missed, _ = await ignored(warehouse_url)
    assert result.outcome is Outcome.COMPLETE
    assert missed
