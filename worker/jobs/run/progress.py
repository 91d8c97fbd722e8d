"""How far a run is, for the code that shows it. Numbers only: no reference, no name, no word of a message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class Progress:
    """Counters of a run in this process: `entries` served, `new` and `changed` messages.

    `expected` is the number of entries that the last run was served, 0 if unknown. `run_id` is None if the ledger
    has no run of it.
    """

    searches: int = 0
    searches_done: int = 0
    expected: int = 0
    entries: int = 0
    new: int = 0
    changed: int = 0
    run_id: int | None = None


Report = Callable[[Progress], None]


def no_report(_progress: Progress) -> None:
    """Show nothing."""
