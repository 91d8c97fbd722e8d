"""Marks where an element's style says more than its tag: what is hidden, in a `pre`, or in upper case."""

from __future__ import annotations

from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from turbohtml import unescape

from worker.transform.text.boxes import BLOCK as BLOCK_BOX
from worker.transform.text.boxes import NOT_RENDERED, kind_of
from worker.transform.text.fast import marks
from worker.transform.text.style import ROOT, Style
from worker.transform.text.whitespace import transform_case

if TYPE_CHECKING:
    from collections.abc import Sequence

_KEEP_SPACES = frozenset({"pre", "pre-wrap"})
_KEPT = str.maketrans(marks.KEPT)


class _Element(NamedTuple):
    """The marks of an element's ends, and the style of what is in it, None if that is not shown.

    `is_pre` means that a line feed at the start of its text is written twice (`marks.WITH_LINE_FEED`).
    """

    start: str
    end: str
    style: Style | None
    is_void: bool = False
    is_pre: bool = False


def marked_by_style(tags: Sequence[str], texts: Sequence[str]) -> str:
    """Return the texts of a body with the marks of its tags between them. With a WALK in it, it is left to the walk."""
    inside = _Element("", "", ROOT)
    around: list[_Element] = []
    marked = [texts[0]]
    for tag, text in zip(tags, texts[1:], strict=True):
        shown = text
        if tag[0] == "/":
            marked.append(inside.end)
            inside = around.pop()
        else:
            read = _remembered if len(tag) <= marks.MOST_CHARACTERS else _element
            element = read(tag, inside.style)
            marked.append(element.start)
            if not element.is_void:
                around.append(inside)
                inside = element
            if element.is_pre and text[:1] == "\n":
                shown = text[1:]
        marked.append(_shown(shown, inside.style))
    return "".join(marked)


def _element(tag: str, parent: Style | None) -> _Element:
    name = marks.name_of(tag)
    is_void, is_pre = name in marks.VOID, name in marks.WITH_LINE_FEED
    if parent is None:
        return _Element("", "", None, is_void)
    kind = kind_of(name, marks.attributes_of(tag), parent)
    start, end = marks.edges(name, kind)
    if kind.role == NOT_RENDERED:
        return _Element(start, end, None, is_void)
    keeps, kept = kind.style.white_space in _KEEP_SPACES, parent.white_space in _KEEP_SPACES
    if keeps != kept and kind.placement != BLOCK_BOX:
        return _Element(marks.WALK, "", None, is_void)  # kept spaces would stand beside spaces that collapse
    return _Element(start, end, kind.style, is_void, is_pre)


_remembered = lru_cache(maxsize=marks.MOST_TAGS)(_element)


def _shown(text: str, style: Style | None) -> str:
    """Return what an element of a style shows of a text in it."""
    if style is None or not text:
        return ""
    if style.text_transform != "none":
        text = escape(transform_case(unescape(text), style.text_transform), quote=False)
    if style.white_space in _KEEP_SPACES:
        return marks.WALK if "\r" in text else text.translate(_KEPT)
    if style.white_space == "pre-line":
        return text.replace("\n", marks.BREAK)
    return text
