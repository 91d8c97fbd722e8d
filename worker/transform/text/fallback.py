"""The plain way: the text of a body that takes too much time or memory to parse.

It takes linear time. Each block begins a line, and tabs separate cells. Comments, scripts, style sheets and the like
are left out, and so are elements whose own tag hides them (`hidden`, `display:none`). Style sheets are not applied.
"""

from __future__ import annotations

import html
import re
from collections import defaultdict

from worker.transform.elements import VOID
from worker.transform.text.parse import well_formed
from worker.transform.text.user_agent_css import BLOCK_LEVEL, UA_DISPLAY

# What is in them is no markup (HTML standard §13.2.6.4.7), and not shown.
_RAW = ("script", "style", "title", "textarea", "iframe", "noembed", "noframes", "noscript")
_UNSEEN = re.compile(rf"<!--|<({'|'.join(_RAW)})(?=[\s/>])[^<>]*>", re.IGNORECASE)
_END = {mark: re.compile(mark, re.IGNORECASE) for mark in ("-->", *(f"</{name}" for name in _RAW))}
# A tag; or what a parser takes for a comment, as conditional ones are.
_TAG = re.compile(r"<(?:(/?)([a-z][^\s/<>]*)([^<>]*)|[!?/][^<>]*)>", re.IGNORECASE)
_BLOCKS = frozenset(name for name, shown in UA_DISPLAY.items() if shown in BLOCK_LEVEL)
_CELLS = ("td", "th")
_ROWS = (*_CELLS, "tr")
_SECTIONS = (*_ROWS, "tbody", "tfoot", "thead")
_BREAKING = _BLOCKS.union(_SECTIONS, {"br"}).difference(_CELLS)
_BREAK, _TAB = "\x00", "\x01"
_AROUND_TAB = re.compile(f" ?{_TAB} ?")
_OVERLONG_REFERENCE = re.compile(r"&#(?:[0-9]{8,}|x[0-9a-f]{7,});?", re.IGNORECASE)

_MAY_HIDE = re.compile(r"hidden|display\s*:\s*none|<template|<datalist", re.IGNORECASE)
_NEVER_SHOWN = frozenset({"datalist", "template"})
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_HIDDEN = re.compile(r"[\s/\"']hidden(?![^\s/=])", re.IGNORECASE)
_STYLE = re.compile(r"[\s/\"']style\s*=\s*(?:\"([^\"]*)|'([^']*)|([^\s\"'>]+))", re.IGNORECASE)
_DISPLAY = re.compile(r"(?:^|;)\s*display\s*:\s*([a-z-]+)", re.IGNORECASE)
# Which open elements a start tag ends, and what they are not looked for beyond (HTML standard §13.1.2.4 Optional tags).
_TABLE = ("table",)
_SCOPE = (*_TABLE, *_CELLS, "caption")
_ENDED_BY = {
    **dict.fromkeys(_BLOCKS, (("p",), _SCOPE)),
    **dict.fromkeys(_CELLS, (_CELLS, _TABLE)),
    "tr": (_ROWS, _TABLE),
    **dict.fromkeys(("tbody", "tfoot", "thead"), (_SECTIONS, _TABLE)),
    "li": (("li", "p"), ("ul", "ol", *_SCOPE)),
    **dict.fromkeys(("dd", "dt"), (("dd", "dt", "p"), ("dl", *_SCOPE))),
    "option": (("option",), ("select",)),
}


def text_without_structure(markup: str) -> str:
    """Return the text of any markup: one line feed between blocks, a tab between cells, references decoded."""
    text = well_formed(markup).replace(_BREAK, "").replace(_TAB, "")
    text = _TAG.sub(_written, _without_hidden(_without_unseen(text)))
    text = text.replace("\t", " ").replace("\r", " ").replace("\n", " ")
    while "  " in text:
        text = text.replace("  ", " ")
    lines = _AROUND_TAB.sub(_TAB, text).split(_BREAK)
    text = "\n".join(line.strip(" ").removeprefix(_TAB) for line in lines if line.strip(f" {_TAB}")).replace(_TAB, "\t")
    return html.unescape(_OVERLONG_REFERENCE.sub("\ufffd", text)) if "&" in text else text


def _written(tag: re.Match[str]) -> str:
    name = (tag[2] or "").lower()
    if name in _BREAKING:
        return _BREAK
    if name in _CELLS:
        return " " if tag[1] else _TAB
    return ""


def _without_unseen(markup: str) -> str:
    """Cut comments, scripts, style sheets and their like. One that is never closed is kept: it may hold the message."""
    kept: list[str] = []
    at = 0
    unclosed: set[str] = set()
    for opening in _UNSEEN.finditer(markup):
        if opening.start() < at:
            continue
        end_mark = f"</{opening[1].lower()}" if opening[1] else "-->"
        if end_mark in unclosed:
            continue
        end = _find(markup, end_mark, opening.end())
        if end < 0:
            unclosed.add(end_mark)
            continue
        kept.append(markup[at : opening.start()])
        at = end
    kept.append(markup[at:])
    return "".join(kept)


def _find(markup: str, end_mark: str, start: int) -> int:
    """Return where the end mark and its `>` end, or -1."""
    found = _END[end_mark].search(markup, start)
    if found is None:
        return -1
    close = markup.find(">", found.end() - 1)
    return -1 if close < 0 else close + 1


def _without_hidden(markup: str) -> str:
    """Cut the elements whose own tag hides them, up to where they end, with or without an end tag."""
    if _MAY_HIDE.search(markup) is None:
        return markup
    kept: list[str] = []
    at = 0
    hidden: int | None = None  # how many elements are open around the one that hides
    tree = _OpenElements()
    for tag in _TAG.finditer(markup):
        if tag[2] is None:
            continue
        tree.take(tag)
        if hidden is not None and tree.lowest <= hidden:
            is_its_own_end = tag[1] and tree.lowest == hidden
            hidden, at = None, tag.end() if is_its_own_end else tag.start()
        if hidden is None and not tag[1] and _hides(tag):
            kept.append(markup[at : tag.start()])
            at = tag.end()
            hidden = None if tag[2].lower() in VOID else len(tree) - 1
    if hidden is None:
        kept.append(markup[at:])
    return "".join(kept)


def _hides(tag: re.Match[str]) -> bool:
    if tag[2].lower() in _NEVER_SHOWN:
        return True
    attributes = tag[3]
    if _MAY_HIDE.search(attributes) is None:
        return False
    if _HIDDEN.search(_QUOTED.sub('""', attributes)):
        return True
    style = _STYLE.search(attributes)
    shown = _DISPLAY.findall(html.unescape(style[1] or style[2] or style[3] or "")) if style else []
    return bool(shown) and shown[-1].lower() == "none"


class _OpenElements:
    """The stack of open elements, as far as it tells where elements end. Each step takes constant time on average.

    `lowest` is the smallest number of elements that were open while the last tag was processed.
    """

    def __init__(self) -> None:
        self._names: list[str] = []
        self._places: defaultdict[str, list[int]] = defaultdict(list)
        self.lowest = 0

    def __len__(self) -> int:
        return len(self._names)

    def take(self, tag: re.Match[str]) -> None:
        """Process a start tag or an end tag."""
        name = tag[2].lower()
        if tag[1]:
            self._end((name,), () if name == "table" else _TABLE if name in _SECTIONS else _SCOPE)
            return
        ended, barriers = _ENDED_BY.get(name, ((), ()))
        self._end(ended, barriers)
        if name not in VOID:
            self._places[name].append(len(self._names))
            self._names.append(name)

    def _end(self, names: tuple[str, ...], barriers: tuple[str, ...]) -> None:
        """End the outermost of the innermost elements with these names, and what is in it."""
        beyond = max((self._places[name][-1] for name in barriers if self._places[name]), default=-1)
        places = [self._places[name][-1] for name in names if self._places[name]]
        self.lowest = min((place for place in places if place > beyond), default=len(self._names))
        while len(self._names) > self.lowest:
            self._places[self._names.pop()].pop()
