"""Parts of a body that reach up to an end tag which has to be found, and how text is written between marks.

Serialised tags are balanced, so a list of what is open is enough: the last that opened is the first to close.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from worker.transform.marks import (
    ANOTHER_DISPLAY,
    INLINE_BLOCK,
    INLINE_BLOCK_END,
    KEEPS_WHITE_SPACE,
    NOT_RENDERED,
    TABLE,
    UPPER_CASE,
    VOID,
)

if TYPE_CHECKING:
    from worker.transform.marks import Marks

# How white space is written that is kept. No text has these: its `&` is `&amp;`.
_KEPT = {" ": "&s;", "\n": "&n;", "\t": "&t;", "\r": "&r;"}
_KEPT_BREAK = _KEPT["\n"]
_WITH_EDGE = (KEEPS_WHITE_SPACE, UPPER_CASE, ANOTHER_DISPLAY)
_MAX_NESTED = 50
# Said in a tag, they may end what began further out.
_SWITCHES = ("white-space", "text-transform", "/*")


def with_regions(canonical: str, marks: Marks) -> str | None:
    """Return a serialised body with its white space collapsed and every tag as its mark, regions resolved.

    None if the walk has to be asked: for what may end a region further out, and for a table in what keeps
    white space.
    """
    parts = canonical.replace(">", "<").split("<")
    reader = _Reader(marks)
    marked = [spaces_only(parts[0])]
    for tag, text in zip(parts[1::2], parts[2::2], strict=True):
        mark = reader.close(tag) if tag[0] == "/" else reader.open(tag)
        if mark is None:
            return None
        if NOT_RENDERED not in reader.regions:
            marked.extend((mark, _written(text, reader.regions)))
    # A line feed that is kept ends a line as a `br` does, but the spaces before it stay.
    return collapse("".join(marked)).replace(_KEPT_BREAK + " ", _KEPT_BREAK)


class _Open(NamedTuple):
    """An element that is open: its region, if it is the start of one, and then the mark for its end."""

    name: str
    region: str
    end_mark: str


class _Reader:
    """What is open at a place in a body, and the regions around it."""

    def __init__(self, marks: Marks) -> None:
        self.regions: list[str] = []
        self._marks = marks
        self._elements: list[_Open] = []

    def open(self, tag: str) -> str | None:
        """Take a start tag. Returns its mark, or None for the walk."""
        name = tag.split(" ", 1)[0]
        mark = self._marks[tag]
        if self.regions and _may_end(tag, mark, self.regions):
            return None
        region = _region(mark)
        if name in VOID:
            return None if region else mark
        self._elements.append(_Open(name, region, _end_mark(mark)))
        if region:
            self.regions.append(region)
        if len(self.regions) > _MAX_NESTED:
            return None
        return mark.removeprefix(region) if region in _WITH_EDGE else mark

    def close(self, tag: str) -> str | None:
        """Take an end tag. Returns its mark, or None if it is not the one that is awaited."""
        if not self._elements or self._elements[-1].name != tag[1:]:
            return None
        element = self._elements.pop()
        if not element.region:
            return self._marks[tag]
        self.regions.pop()
        return element.end_mark


def _region(mark: str) -> str:
    if mark in {NOT_RENDERED, INLINE_BLOCK}:
        return mark
    return mark[:2] if mark.startswith(_WITH_EDGE) else ""


def _end_mark(mark: str) -> str:
    """Return the mark at the end of a region, from the one at its start."""
    if mark == INLINE_BLOCK:
        return INLINE_BLOCK_END
    return mark[2:] if mark.startswith(_WITH_EDGE) else ""


def _may_end(tag: str, mark: str, regions: list[str]) -> bool:
    """Whether a start tag may switch off what holds around it, or needs white space read in another way."""
    if NOT_RENDERED in regions:
        return False
    if KEEPS_WHITE_SPACE in regions and mark == TABLE:
        return True
    if KEEPS_WHITE_SPACE not in regions and UPPER_CASE not in regions:
        return False
    return " style=" in tag and any(switch in tag.lower() for switch in _SWITCHES)


def _written(text: str, regions: list[str]) -> str:
    if UPPER_CASE in regions:
        text = _encoded(decoded(text).upper())
    if KEEPS_WHITE_SPACE not in regions:
        return spaces_only(text)
    for space, reference in _KEPT.items():
        text = text.replace(space, reference)
    return text


def without_kept(text: str) -> str:
    """Write out the white space that was kept."""
    for space, reference in _KEPT.items():
        text = text.replace(reference, space)
    return text


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
