r"""What stands between two texts: a run of tags, and what the reader sees of it.

The text of most bodies is its texts with something between them: nothing at a `<b>`, a line feed at a `<br>`, two at
the edges of a paragraph, a tab between cells. What that is depends on nothing but the run of tags from the one text to
the next, white space between them included. Few runs are all that letters are made of, so what each comes to is found
out once, by its marks (`worker.transform.marks`), and looked up from then on.

A run is written as it stands, without its first `<`: in `a</b> <i>b` it is `/b> <i>`. The white space behind it belongs
to it. The edges of a body are tags of a name that none has.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from worker.transform.layout import NOT_PLAIN, between
from worker.transform.marks import (
    BLOCK,
    CLEAN_FIRST,
    INLINE,
    INLINE_BLOCK,
    INLINE_BLOCK_END,
    INVISIBLE_BLOCK,
    PARAGRAPH,
    PICTURE,
    REGIONS,
    UNSEEN_TEXT,
    WALK,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.transform.marks import Marks

START, END = "<\x00>", "</\x00>"
"""Tags of our own at the edges of a body. No body that is split has a NUL."""

# Behind every `<` there is a `>`, that of the body's end at the latest: what begins to match does.
_RUN = re.compile(r"<([^>]*+>[ \n\t\r]*+(?:<[^>]*+>[ \n\t\r]*+)*+)")
_START_TAG, _END_TAG = START[1:-1], END[1:-1]
# A value ends in a quotation mark: what ends in `-->` is a comment that looks like one.
_FIRST_LINE_FEED = re.compile(r"(<(?:pre|listing)(?: [^>]*\")?>)\n")
# Tags of our own, written where a region began or ended (`worker.transform.regions`).
EDGE_TAGS = {
    INLINE: "&i",
    BLOCK: "&b",
    PARAGRAPH: "&p",
    INLINE_BLOCK: "&(",
    INLINE_BLOCK_END: "&)",
    INVISIBLE_BLOCK: "&]",
    PICTURE: "&.",
    UNSEEN_TEXT: "&|",
}
_OWN_TAGS = {_START_TAG: "", _END_TAG: "", **{tag: mark for mark, tag in EDGE_TAGS.items()}}
_FOR_OTHERS = REGIONS | {CLEAN_FIRST, WALK}


class Apart(NamedTuple):
    """The tags of a run, and the white space between and behind them.

    `odd` are the places among them of those that are not plain, `marks` and `names` their marks and names.
    """

    tags: list[str]
    odd: list[int]
    marks: frozenset[str]
    names: frozenset[str]


class Chain(NamedTuple):
    """What runs come to that follow each other, and how the texts between them are shown.

    `keeps` is true if white space of a text is kept.
    """

    shown: list[str]
    ways: list[Callable[[str], str]]
    keeps: bool


class Runs(dict[str, str]):
    """What runs of tags come to. Found out once, then kept, as many as `Marks` keeps tags."""

    MAX_CHARACTERS = 400

    def __init__(self, marks: Marks) -> None:
        super().__init__()
        self.marks = marks
        self._apart: dict[str, Apart] = {}
        self.chains: dict[tuple[str, ...], Chain | None] = {}

    def read(self, canonical: str) -> tuple[list[str], list[str]]:
        """Return the texts of a serialised body and the runs between them in turn, and the same as shown."""
        parts = texts_and_runs(canonical)
        return parts, self.shown(parts)

    def shown(self, parts: list[str]) -> list[str]:
        """Return texts and what the runs between them come to: `NOT_PLAIN` for one that is not plain."""
        shown = parts[:]
        shown[1::2] = map(self.__getitem__, parts[1::2])
        return shown

    def taken_apart(self, run: str) -> Apart:
        """Return the tags of a run, and which of them are odd."""
        apart = self._apart.get(run)
        if apart is None:
            tags = tags_of(run)
            odd = [place for place, tag in enumerate(tags) if self._is_odd(tag)]
            marks = frozenset(self.marks[tags[place]] for place in odd)
            apart = Apart(tags, odd, marks, frozenset(tags[place].partition(" ")[0] for place in odd))
            if run in self:
                self._apart[run] = apart
        return apart

    def _is_odd(self, tag: str) -> bool:
        return not tag.isspace() and tag not in _OWN_TAGS and self.marks[tag] in _FOR_OTHERS

    def _mark(self, tag: str) -> str:
        if tag.isspace():
            return " "
        return _OWN_TAGS[tag] if tag in _OWN_TAGS else self.marks[tag]

    def _is_kept(self, tag: str) -> bool:
        return tag.isspace() or tag in _OWN_TAGS or tag in self.marks

    def __missing__(self, run: str) -> str:
        """Find out what a run comes to."""
        read = self.marks.without_unread(run)
        if read != run:
            return self[read]
        apart = self.taken_apart(run)
        text = NOT_PLAIN
        if not apart.odd:
            marks = list(map(self._mark, apart.tags))
            text = between(marks, text_before=apart.tags[0] != _START_TAG, text_behind=_END_TAG not in apart.tags)
        if len(run) <= self.MAX_CHARACTERS and all(map(self._is_kept, apart.tags)):
            if len(self) >= self.marks.MAX_KEPT:
                self.clear()
                self._apart.clear()
                self.chains.clear()
            self[run] = text
        return text


def texts_and_runs(html: str) -> list[str]:
    """Return the texts of a serialised body and the runs between them in turn, an empty text at both ends."""
    return split(f"{START}{html}{END}")


def split(html: str) -> list[str]:
    """Return the texts of serialised HTML and the runs between them in turn."""
    return _RUN.split(html)


def tags_of(run: str) -> list[str]:
    """Return the tags of a run, and the white space between and behind them."""
    tags = []
    first, *others = run.split(">")
    tags.append(first)
    for part in others:
        spaces, _, tag = part.partition("<")
        tags += filter(None, (spaces, tag))
    return tags


def run_of(tags: list[str]) -> str:
    """Return the run of these tags."""
    return written(tags)[1:]


def written(tags: list[str]) -> str:
    """Return tags and white space as serialised HTML."""
    return "".join(tag if tag.isspace() else f"<{tag}>" for tag in tags)


def without_first_line_feeds(canonical: str) -> str:
    """Take off what is written behind `<pre>` where its text begins with a line feed: a parser drops the first."""
    return _FIRST_LINE_FEED.sub(r"\1", canonical) if "<pre" in canonical or "<listing" in canonical else canonical
