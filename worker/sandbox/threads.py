"""Who talks with whom, about what, since when: the plan of all threads, in a few bytes for each.

Messages are numbered; a thread is a run of numbers. Everything else about a message is worked out when it is
asked for (`worker.sandbox.messages`), so that a million of them cost no more than this plan.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from worker.sandbox.draw import Draw
from worker.sandbox.scripts import SCRIPTS

if TYPE_CHECKING:
    from collections.abc import Iterator

# Instants as seconds since 1970, UTC.
BEGIN_S = 1_577_836_800  # 2020-01-01
END_S = 1_767_225_600  # 2026-01-01
CUTOFF_S = 1_666_828_800  # 2022-10-27T00:00:00Z, from which Canvas stores messages as HTML
HOUR_S = 3600

EXAMPLE_SCRIPT = 1  # the documented example is one message of a practitioner to a patient


@dataclass(frozen=True, slots=True)
class Thread:
    """Messages `first` to `first + length - 1`; people by their number, the script by its place."""

    first: int
    length: int
    script: int
    practitioner: int
    patient: int
    start_s: int


class Threads:
    """All threads, in arrays of equal length."""

    def __init__(self, seed: int, messages: int, practitioners: int, patients: int) -> None:
        self._messages = messages
        self._first = array("I", [0])
        self._script = array("B", [EXAMPLE_SCRIPT])
        self._practitioner = array("I", [0])
        self._patient = array("I", [0])
        self._start_s = array("I", [BEGIN_S])
        # Zipf's law: the n-th busiest practitioner has 1/n of the threads of the busiest.
        shares = list(accumulate(1_000_000 // rank for rank in range(1, practitioners + 1)))
        number = 1
        while number < messages:
            draw = Draw(seed, "thread", len(self._first))
            script = draw.below(len(SCRIPTS))
            steps = len(SCRIPTS[script])
            self._first.append(number)
            self._script.append(script)
            self._practitioner.append(bisect_right(shares, draw.below(shares[-1])))
            self._patient.append(min(draw.below(patients), draw.below(patients)))
            # A few begin in the hour of which nobody can say whether it lies before or after the cutoff.
            in_cutoff_hour = draw.happens(3)
            self._start_s.append(
                CUTOFF_S + draw.below(HOUR_S) if in_cutoff_hour else BEGIN_S + draw.below(END_S - BEGIN_S)
            )
            number += 1 + max(draw.below(steps), draw.below(steps))

    def __iter__(self) -> Iterator[Thread]:
        """Yield every thread."""
        return map(self._thread, range(len(self._first)))

    def of(self, number: int) -> tuple[int, Thread]:
        """Return the thread that holds message `number`, before it the thread's own number."""
        index = bisect_right(self._first, number) - 1
        return index, self._thread(index)

    def _thread(self, index: int) -> Thread:
        first = self._first[index]
        after = self._first[index + 1] if index + 1 < len(self._first) else self._messages
        return Thread(
            first,
            after - first,
            self._script[index],
            self._practitioner[index],
            self._patient[index],
            self._start_s[index],
        )
