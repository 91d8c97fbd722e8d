"""A body in pieces: its texts and the runs between them, while what reaches further than a run is written out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from worker.transform.layout import NOT_PLAIN
from worker.transform.runs import run_of

if TYPE_CHECKING:
    from worker.transform.runs import Apart, Runs


@dataclass(slots=True)
class Pieces:
    """The texts of a body and the runs between them in turn (`parts`), and the same as `runs` have them `shown`.

    `keeps` is true once white space of a text is written out (`worker.transform.kept`).
    """

    runs: Runs
    parts: list[str]
    shown: list[str]
    keeps: bool = False
    _apart: dict[str, Apart] = field(default_factory=dict)

    def odd(self) -> list[int]:
        """Return where a run is not plain."""
        return [at for at in range(1, len(self.shown), 2) if self.shown[at] == NOT_PLAIN]

    def apart(self, at: int) -> Apart:
        """Return the tags of the run at a place. Found out once in a body, also where it is not kept for others."""
        run = self.parts[at]
        apart = self._apart.get(run)
        if apart is None:
            read = run if run in self.runs else self.runs.marks.without_unread(run)
            apart = self._apart[run] = self._apart[read] = self.runs.taken_apart(read)
            self.parts[at] = read
        return apart

    def put(self, first: int, last: int, tags: list[str]) -> None:
        """Put a run of these tags in the place of two runs and all between them."""
        self.put_parts(first, last, [run_of(tags)])

    def put_parts(self, first: int, last: int, parts: list[str]) -> None:
        """Put runs and texts in the place of two runs and all between them."""
        self.parts[first : last + 1] = parts
        self.shown[first : last + 1] = self.runs.shown(["", *parts])[1:]

    def put_texts(self, first: int, last: int, texts: list[str]) -> None:
        """Put these texts between the runs from the one place to the other."""
        self.parts[first + 1 : last : 2] = texts
        self.shown[first + 1 : last : 2] = texts
