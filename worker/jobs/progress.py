"""How far a run is, for whoever shows it. Numbers only: no reference, no name, no word of a message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class Progress:
    """Counters of a run in this process. `expected` is the number of messages that the last run saw, 0 if unknown."""

    searches: int = 0
    searches_done: int = 0
    expected: int = 0
    entries: int = 0
    inserted: int = 0
    updated: int = 0


Report = Callable[[Progress], None]


def no_report(_progress: Progress) -> None:
    """Show nothing."""
