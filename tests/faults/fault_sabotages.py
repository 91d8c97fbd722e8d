"""Ways to break the mirror, one decision at a time, that the proof of faults must notice."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from tests.faults.fault_cases import STARTS, Case
from tests.faults.readings_sabotages import SABOTAGES as READINGS
from tests.faults.script import Script
from worker.extract import answers
from worker.jobs.run import absent, acceptance, plan
from worker.jobs.run.plan import Outcome
from worker.load import missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


@contextmanager
def _walks_are_never_objected_to() -> Iterator[None]:
    with patch.object(acceptance, "objection", lambda _tally: None):
        yield


@contextmanager
def _deletions_are_believed() -> Iterator[None]:
    async def without_asking(*_: object) -> bool:
        return True

    with patch.object(absent, "knows_one_of", without_asking):
        yield


@contextmanager
def _runs_are_called_complete() -> Iterator[None]:
    with patch.object(plan, "outcome", lambda *_: Outcome.COMPLETE):
        yield


@contextmanager
def _what_was_not_shown_is_not_asked_for() -> Iterator[None]:
    async def nothing(*_: object) -> list[str]:
        return []

    with patch.object(missing, "find_missing", nothing):
        yield


@contextmanager
def _strangers_are_believed() -> Iterator[None]:
    judge = answers.judge

    def final(status: int, said: answers.Said, **named: Any) -> answers.Means:
        means = judge(status, said, **named)
        return answers.Means.FINAL if means is answers.Means.AWAY and status >= 400 else means

    with patch.object(answers, "judge", final):
        yield


@dataclass(frozen=True, slots=True)
class Sabotage:
    """A way to break the mirror, and a kind of fault under which it must be noticed, at one request or another."""

    breaks: Callable[[], AbstractContextManager[object]]
    kind: str

    def cases(self) -> list[Case]:
        """Return cases among which the proof must find a violation while the mirror is broken."""
        single = [Script({number: (self.kind,)}) for number in range(5, 31)]
        return [Case(start, script, 0) for script in (Script(lasting=((5, self.kind),)), *single) for start in STARTS]


SABOTAGES = {
    "a walk that contradicts itself is accepted": Sabotage(_walks_are_never_objected_to, "entry_skipped"),
    "equal counts alone are enough": Sabotage(READINGS["equal counts alone"], "row_replaced"),
    "deletions are believed of a source that knows no id": Sabotage(_deletions_are_believed, "scope_shrunk"),
    "an incomplete run is called complete": Sabotage(_runs_are_called_complete, "next_foreign"),
    "a web page's 403 is final": Sabotage(_strangers_are_believed, "blocked"),
    "what a run was not shown is not asked for by id": Sabotage(_what_was_not_shown_is_not_asked_for, "nothing_found"),
}
