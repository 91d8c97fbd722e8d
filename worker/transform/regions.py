"""Parts of a body that reach up to an end tag which has to be found, and how text is written between marks.

Serialised tags are balanced, so a list of what is open is enough: the last that opened is the first to close.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from worker.transform.marks import (
    ANOTHER_DISPLAY,
    EDGES,
    INLINE,
    INLINE_BLOCK,
    INLINE_BLOCK_END,
    KEEPS_LINE_FEEDS,
    KEEPS_WHITE_SPACE,
    NOT_RENDERED,
    TABLE,
    UPPER_CASE,
    VOID,
    WALK,
)

if TYPE_CHECKING:
    from worker.transform.marks import Marks

# How white space is written that is kept. No text has these: its `&` is `&amp;`.
_KEPT = {" ": "&s;", "\n": "&n;", "\t": "&t;", "\r": "&r;"}
_KEPT_BREAK = _KEPT["\n"]
_KEPT_LINE_END = "&l;"  # without the spaces around it
# By the mark at a region's start: which region it is, the mark that stands there, and the one at its end.
_STARTS = {
    NOT_RENDERED: (NOT_RENDERED, INLINE, INLINE),
    INLINE_BLOCK: (INLINE_BLOCK, INLINE_BLOCK, INLINE_BLOCK_END),
    **{
        region + edge: (region, edge, edge)
        for region in (KEEPS_WHITE_SPACE, KEEPS_LINE_FEEDS, UPPER_CASE, ANOTHER_DISPLAY)
        for edge in EDGES
    },
}
_KEEPING = frozenset({KEEPS_WHITE_SPACE, KEEPS_LINE_FEEDS})  # one in the other is for the walk
_MAX_NESTED = 50
# Said in a tag, they may end what began further out.
_SWITCHES = ("white-space", "text-transform", "/*")


def resolve_regions(canonical: str, parts: list[str], marks: Marks) -> bool:
    """Write the marks and texts in the regions of a serialised body into its `parts`, texts and marks in turn.

    Returns False if the walk has to be asked: for what may end a region further out, and for a table in what keeps
    white space.
    """
    found = canonical.replace(">", "<").split("<")
    inside = _Inside(marks)
    end = 0
    for start in [at for at, mark in enumerate(parts) if mark in _STARTS and at % 2]:
        if start < end:
            continue  # in the one before
        for at in range(start, len(parts), 2):
            mark = inside.take(found[at])
            if mark is None:
                return False
            is_shown = NOT_RENDERED not in inside.regions
            parts[at] = mark if is_shown else INLINE
            if not inside.regions:
                end = at
                break
            parts[at + 1] = _written(found[at + 1], parts[at + 1], inside.regions) if is_shown else ""
    return not inside.regions


class _Open(NamedTuple):
    """An element that is open in a region: whether it is the start of one, and then the mark for its end."""

    name: str
    is_start: bool
    end_mark: str


class _Inside:
    """The regions around a place in a body, and what is open in the outermost of them."""

    def __init__(self, marks: Marks) -> None:
        self.regions: list[str] = []
        self._marks = marks
        self._elements: list[_Open] = []

    def take(self, tag: str) -> str | None:
        """Take the next tag, the first time the start of a region. Returns its mark, or None for the walk."""
        if tag[0] == "/":
            return self._close(tag)
        mark = self._marks[tag]
        if mark == WALK or _may_end(tag, mark, self.regions):
            return None
        name = tag.partition(" ")[0]
        if mark in _STARTS:
            return self._open(name, mark)
        if name not in VOID:
            self._elements.append(_Open(name, False, ""))
        return mark

    def _open(self, name: str, mark: str) -> str | None:
        region, start_mark, end_mark = _STARTS[mark]
        differs = region in _KEEPING and not (_KEEPING - {region}).isdisjoint(self.regions)
        if name in VOID or len(self.regions) == _MAX_NESTED or differs:
            return None
        self._elements.append(_Open(name, True, end_mark))
        self.regions.append(region)
        return start_mark

    def _close(self, tag: str) -> str | None:
        element = self._elements.pop()
        if element.name != tag[1:]:
            return None  # not the one that is awaited
        if not element.is_start:
            return self._marks[tag]
        self.regions.pop()
        return element.end_mark


def _may_end(tag: str, mark: str, regions: list[str]) -> bool:
    """Whether a start tag may switch off what holds around it, or needs white space read in another way."""
    if NOT_RENDERED in regions:
        return False
    if _keeps(regions) and mark == TABLE:
        return True
    if not _keeps(regions) and UPPER_CASE not in regions:
        return False
    return " style=" in tag and any(switch in tag.lower() for switch in _SWITCHES)


def _keeps(regions: list[str]) -> bool:
    return not _KEEPING.isdisjoint(regions)


def _written(text: str, spaced: str, regions: list[str]) -> str:
    """Return a text as it is put between the marks; `spaced` is the same with spaces alone."""
    if not _keeps(regions):
        return _encoded(decoded(spaced).upper()) if UPPER_CASE in regions else spaced
    if UPPER_CASE in regions:
        text = _encoded(decoded(text).upper())
    if KEEPS_LINE_FEEDS in regions:
        return spaces_only(text.replace("\n", _KEPT_LINE_END))
    for space, reference in _KEPT.items():
        text = text.replace(space, reference)
    return text


def collapse_beside_kept(text: str) -> str:
    """Return the text with one space for each run of spaces, none behind a line feed that was kept.

    Such a line feed ends a line as a `br` does, but the spaces before it stay.
    """
    text = collapse(text).replace(_KEPT_BREAK + " ", _KEPT_BREAK)
    return text.replace(" " + _KEPT_LINE_END, _KEPT_LINE_END).replace(_KEPT_LINE_END + " ", _KEPT_LINE_END)


def without_kept(text: str) -> str:
    """Write out the white space that was kept."""
    for space, reference in _KEPT.items():
        text = text.replace(reference, space)
    return text.replace(_KEPT_LINE_END, "\n")


def spaces_only(text: str) -> str:
    """Return the text with a space for every character that collapses."""
    return text.replace("\n", " ").replace("\t", " ").replace("\r", " ")


def collapse(text: str) -> str:
    """Return the text with one space for each run of spaces."""
    while "  " in text:
        text = text.replace("  ", " ")
    return text


def decoded(text: str) -> str:
    """Write out the references of serialised text, `&amp;` last: what it stands for begins no other."""
    if "&" not in text:
        return text
    return text.replace("&nbsp;", "\xa0").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _encoded(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
