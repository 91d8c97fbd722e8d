"""A body in pieces: its texts and the runs between them, while what reaches further than a run is written out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.transform.runs import NOT_PLAIN, run_of, texts_and_runs

if TYPE_CHECKING:
    from worker.transform.runs import Apart, Runs


@dataclass(slots=True)
class Pieces:
    """The texts of a body and the runs between them in turn (`parts`), and the same as `runs` have them `shown`."""

    runs: Runs
    parts: list[str]
    shown: list[str]

    def odd(self) -> list[int]:
        """Return where a run is not plain."""
        return [at for at in range(1, len(self.shown), 2) if self.shown[at] == NOT_PLAIN]

    def apart(self, at: int) -> Apart:
        """Return the tags of the run at a place."""
        run = self.parts[at]
        if run not in self.runs:
            run = self.parts[at] = self.runs.marks.without_unread(run)
        return self.runs.taken_apart(run)

    def put(self, first: int, last: int, tags: list[str]) -> None:
        """Put a run of these tags in the place of two runs and all between them."""
        run = run_of(tags)
        self.parts[first : last + 1] = [run]
        self.shown[first : last + 1] = [self.runs[run]]

    def put_texts(self, first: int, last: int, texts: list[str]) -> None:
        """Put these texts between the runs from the one place to the other."""
        self.parts[first + 1 : last : 2] = texts
        self.shown[first + 1 : last : 2] = texts


def pieces_of(canonical: str, runs: Runs) -> Pieces:
    """Return the pieces of a serialised body."""
    parts = texts_and_runs(canonical)
    return Pieces(runs, parts, runs.shown(parts))
