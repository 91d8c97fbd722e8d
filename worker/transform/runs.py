r"""What stands between two texts: a run of tags, and what the reader sees of it.

The text of most bodies is its texts with something between them: nothing at a `<b>`, a line feed at a `<br>`, two at
the edges of a paragraph, a tab between cells. What that is depends on nothing but the run of tags from the one text to
the next, white space between them included. Few runs are all that letters are made of, so what each comes to is found
out once, by its marks (`worker.transform.marks`), and looked up from then on.

A run is written as it stands, without its first `<`: in `a</b> <i>b` it is `/b> <i>`. The spaces behind it belong to
it. The edges of the body are the tags of a `body`, which no fragment has. `&_` stands for spaces where a run is taken
apart; no tag has it, for its `&` begins a reference.

Where a picture or an end of an inline block stands beside a text, a run comes to a mark of that box, because the
spaces of the text go or stay by it (`laid_out`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from worker.transform.marks import (
    BLOCK,
    BOX,
    BREAK,
    CAPTION,
    CELL,
    CLEAN_FIRST,
    INLINE,
    INLINE_BLOCK,
    INLINE_BLOCK_END,
    INVISIBLE_BLOCK,
    KEEPS_LINE_FEEDS,
    KEEPS_WHITE_SPACE,
    PARAGRAPH,
    PICTURE,
    REGIONS,
    ROW,
    TABLE,
    WALK,
)

if TYPE_CHECKING:
    from worker.transform.marks import Marks

NOT_PLAIN = "<"
"""What a run comes to that has to be looked at more closely. No text has it: there it is `&lt;`."""

# A `<` that begins no tag can be in a name only, and `</body>` is last: what begins to match does.
_RUN = re.compile(r"<([^>]*+> *+(?:<[^>]*+> *+)*+)")
_NEXT, SPACE = "><", "&_"
_SPACES_BETWEEN = re.compile("> +(?=<|$)")
_BODY, _BODY_END = "body", "/body"
# Tags of our own, written where a region began or ended (`worker.transform.regions`).
EDGE_TAGS = {
    INLINE: "&i",
    BLOCK: "&b",
    PARAGRAPH: "&p",
    INLINE_BLOCK: "&(",
    INLINE_BLOCK_END: "&)",
    INVISIBLE_BLOCK: "&|",
}
# Written where white space is kept (`worker.transform.kept`).
KEPT_TAGS = {KEEPS_WHITE_SPACE: "&k", KEEPS_LINE_FEEDS: "&f"}
_OWN_TAGS = {
    **dict.fromkeys(KEPT_TAGS.values(), ""),
    _BODY: "",
    _BODY_END: "",
    SPACE: " ",
    **{tag: mark for mark, tag in EDGE_TAGS.items()},
}
_FOR_OTHERS = REGIONS | {CLEAN_FIRST, WALK}
_TABLE_MARKS = frozenset({TABLE, CAPTION, ROW, CELL})
# Stands for the texts around a run: not white space, not a mark.
_TEXT = "x"


class Apart(NamedTuple):
    """The tags of a run, with one of our own for spaces.

    `odd` are the places among them of those that are not plain, `marks` and `names` their marks and names.
    """

    tags: list[str]
    odd: list[int]
    marks: frozenset[str]
    names: frozenset[str]


class Runs(dict[str, str]):
    """What runs of tags come to, under one style sheet. Found out once, then kept, as many as `Marks` keeps tags."""

    MAX_CHARACTERS = 400

    def __init__(self, marks: Marks) -> None:
        super().__init__()
        self.marks = marks
        self._apart: dict[str, Apart] = {}

    def shown(self, parts: list[str]) -> list[str]:
        """Return texts and what the runs between them come to: `NOT_PLAIN` for one that is not plain."""
        shown = parts[:]
        shown[1::2] = map(self.__getitem__, parts[1::2])
        return shown

    def taken_apart(self, run: str) -> Apart:
        """Return the tags of a run."""
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
        return tag not in _OWN_TAGS and self.marks[tag] in _FOR_OTHERS

    def __missing__(self, run: str) -> str:
        """Find out what a run comes to."""
        read = self.marks.without_unread(run)
        if read != run:
            return self[read]
        apart = self.taken_apart(run)
        text = NOT_PLAIN
        if not apart.odd:
            marks = [_OWN_TAGS[tag] if tag in _OWN_TAGS else self.marks[tag] for tag in apart.tags]
            text = _between(marks, text_before=apart.tags[0] != _BODY, text_behind=apart.tags[-1] != _BODY_END)
        if len(run) <= self.MAX_CHARACTERS and all(tag in _OWN_TAGS or tag in self.marks for tag in apart.tags):
            if len(self) >= self.marks.max_kept:
                self.clear()
                self._apart.clear()
            self[run] = text
        return text


def texts_and_runs(canonical: str) -> list[str]:
    """Return the texts of a serialised body and the runs between them in turn, an empty text at both ends."""
    return _RUN.split(spaces_only(f"<{_BODY}>{canonical}<{_BODY_END}>"))


def tags_of(run: str) -> list[str]:
    """Return the tags of a run, with one of our own for spaces."""
    return _SPACES_BETWEEN.sub(f"{_NEXT}{SPACE}>", run)[:-1].split(_NEXT)


def run_of(tags: list[str]) -> str:
    """Return the run of these tags."""
    return f"{_NEXT.join(tags)}>"


def laid_out(text: str) -> str:
    """Return what texts and runs came to as lines: without the spaces that they do not show.

    Spaces collapse, and go at the end of a line and of a cell. A picture keeps those before it; an inline block has an
    end of its own.
    """
    text = collapse(text).replace(" \n", "\n").rstrip(" ")
    if "\t" in text:
        text = text.replace(" \t", "\t")
    if BOX not in text:
        return text
    return _without_boxes(text.replace(" " + INLINE_BLOCK_END, "").replace(" " + INVISIBLE_BLOCK, ""))


def _between(marks: list[str], *, text_before: bool, text_behind: bool) -> str:
    """Return what marks and spaces come to between two texts, or at an edge of the body."""
    before, behind = _TEXT * text_before, _TEXT * text_behind
    text = _without_marks(collapse(f"{before}{''.join(marks)}{behind}").strip(" "), set(marks))
    return NOT_PLAIN if text is None else text[len(before) : len(text) - len(behind)]


def _without_marks(text: str, kinds: set[str]) -> str | None:
    """Take white space off the ends of lines, and turn the marks into what they become. None for the walk."""
    if BREAK in kinds:
        text = _without_spaces_around(BREAK, text)
    if not kinds.isdisjoint(_TABLE_MARKS):
        text = _without_spaces_around(TABLE, text)
        text = text.replace(CAPTION + " ", CAPTION).replace(TABLE + CAPTION, BLOCK)
        if CAPTION in text:
            return None
        text = _without_tables(text)
    for edge in (BLOCK, PARAGRAPH, INVISIBLE_BLOCK):
        text = _without_spaces_around(edge, text)
    text = text.replace(INLINE_BLOCK + " ", INLINE_BLOCK).replace(" " + INLINE_BLOCK_END, INLINE_BLOCK_END)
    return _without_edges(text)


def _without_spaces_around(mark: str, text: str) -> str:
    return text.replace(" " + mark, mark).replace(mark + " ", mark)


def _without_boxes(text: str) -> str:
    """Take out the marks of boxes."""
    for box in (PICTURE, INLINE_BLOCK, INLINE_BLOCK_END, INVISIBLE_BLOCK):
        text = text.replace(box, "")
    return text


def _without_tables(text: str) -> str:
    """Put line feeds between rows and tabs between cells: HTML standard §3.2.7, steps 6 and 7."""
    for mark in (ROW, CELL):
        text = _without_spaces_around(mark, text)
    return text.replace(ROW + CELL, ROW).replace(TABLE + ROW, BLOCK).replace(ROW, "\n").replace(TABLE, BLOCK)


def _without_edges(text: str) -> str:
    """Make each run of edges as many line feeds as its largest asks for, none at the edge of the body.

    A box that shows no text does not part a run of edges.
    """
    paragraphs = [[line for line in part.split(BLOCK) if _without_boxes(line)] for part in text.split(PARAGRAPH)]
    return "\n\n".join("\n".join(lines) for lines in paragraphs if lines)


def spaces_only(text: str) -> str:
    """Return the text with a space for every character that collapses."""
    return text.replace("\n", " ").replace("\t", " ").replace("\r", " ")


def collapse(text: str) -> str:
    """Return the text with one space for each run of spaces."""
    while "  " in text:
        text = text.replace("  ", " ")
    return text
