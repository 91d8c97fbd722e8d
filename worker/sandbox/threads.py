"""Who talks with whom, about what, since when: the plan of all threads.

Messages are numbered, and a thread is a range of numbers. All else about a message is made when somebody asks for it
(`worker.sandbox.messages`), so that a million of them take no more memory than this plan.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import NamedTuple

from worker.sandbox.draw import Draw
from worker.sandbox.scripts import SCRIPTS

# Instants as seconds since 1970, UTC.
BEGIN_S = 1_577_836_800  # 2020-01-01
END_S = 1_767_225_600  # 2026-01-01
CUTOFF_S = 1_666_828_800  # 2022-10-27T00:00:00Z, from which Canvas stores messages as HTML
HOUR_S = 3600

EXAMPLE_SCRIPT = 1  # the documented example is one message of a practitioner to a patient


class Thread(NamedTuple):
    """Messages `first` to `first + length - 1`; people by their number, the script by its place."""

    first: int
    length: int
    script: int
    practitioner: int
    patient: int
    start_s: int


def plan_threads(seed: int, messages: int, practitioners: int, patients: int) -> list[Thread]:
    """Return all threads of a clinic, in the order of their messages."""
    # Zipf's law: the n-th busiest practitioner has 1/n of the threads of the busiest.
    shares = list(accumulate(1_000_000 // rank for rank in range(1, practitioners + 1)))
    threads = [Thread(0, min(1, messages), EXAMPLE_SCRIPT, 0, 0, BEGIN_S)]
    number = 1
    while number < messages:
        draw = Draw(seed, "thread", len(threads))
        script = draw.below(len(SCRIPTS))
        steps = len(SCRIPTS[script])
        practitioner = bisect_right(shares, draw.below(shares[-1]))
        patient = min(draw.below(patients), draw.below(patients))
        # A few begin in the hour of which nobody can say whether it is before or after the cutoff.
        in_cutoff_hour = draw.happens(3)
        start_s = CUTOFF_S + draw.below(HOUR_S) if in_cutoff_hour else BEGIN_S + draw.below(END_S - BEGIN_S)
        length = min(1 + max(draw.below(steps), draw.below(steps)), messages - number)
        threads.append(Thread(number, length, script, practitioner, patient, start_s))
        number += length
    return threads
