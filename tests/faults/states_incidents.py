"""What a job of the state machine may meet on its way, and how hypothesis draws it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from hypothesis import strategies as st

from tests.faults import faults_answers, faults_pages
from tests.faults.model import CHANGE_KINDS, Change
from tests.faults.script import Script
from tests.faults.states_trial import MANNERS, PLACES, Blow

# The two that take real time are proven elsewhere, one request after the other.
FAULTS = tuple(
    kind.__name__
    for kind in (*faults_answers.KINDS, *faults_pages.KINDS)
    if kind not in {faults_answers.dripping, faults_answers.never_answers}
)
LIES = frozenset({"nothing_found", "scope_shrunk", "roster_filters_ignored"})
"""Faults that no run can see through about messages that the mirror never knew."""


@dataclass(frozen=True, slots=True)
class Drift:
    """A change just before the request with this number is answered."""

    at: int
    change: Change


@dataclass(frozen=True, slots=True)
class Failure:
    """A kind of fault that befalls the request `at` and those after it, `times` of them (0: all)."""

    at: int
    kind: str
    times: int

    def script(self) -> Script:
        """Return it as the sandbox wants it."""
        if not self.times:
            return Script(lasting=((self.at, self.kind),))
        return Script({self.at + number: (self.kind,) for number in range(self.times)})


@dataclass(frozen=True, slots=True)
class Wake:
    """A job that sleeps is woken just before the request with this number is answered."""

    at: int


Incident: TypeAlias = Drift | Failure | Wake | Blow

numbers = st.integers(0, 40)
variants = st.integers(0, 400)
requests, units = st.integers(1, 30), st.integers(1, 60)
places = st.sampled_from(PLACES)
changes = st.builds(Change, st.sampled_from(CHANGE_KINDS), numbers, variants)
incidents: st.SearchStrategy[list[Incident]] = st.one_of(
    st.just([]),
    st.lists(
        st.one_of(
            st.builds(Drift, requests, changes),
            st.builds(Failure, requests, st.sampled_from(FAULTS), st.sampled_from([1, 2, 8, 0])),
            st.builds(Blow, units, places, st.sampled_from(MANNERS)),
            st.builds(Wake, requests),
        ),
        min_size=1,
        max_size=4,
    ),
)
