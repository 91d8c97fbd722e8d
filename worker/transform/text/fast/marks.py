r"""What a tag does to the text, as one character.

| mark        | stands for                                 | becomes                                        |
|-------------|--------------------------------------------|------------------------------------------------|
| none        | inline tag; end of a cell, row, section    | nothing                                        |
| `BLOCK`     | edge of a block                            | in a run of edges: one line feed               |
| `PARAGRAPH` | edge of a `p`                              | in a run of edges: two line feeds              |
| `BREAK`     | `br`                                       | a line feed                                    |
| `TABLE`     | start of a table                           | edge of a block                                |
| `CAPTION`   | edge of a caption, first in its table      | edge of a block                                |
| `ROW`       | start of a row                             | line feed; nothing behind a `TABLE`, `CAPTION` |
| `CELL`      | start of a cell                            | tab, nothing in the row's first cell           |
| `BOX`       | picture, input; both ends of a `q`         | nothing, but the spaces around it stay         |
| `INSIDE`    | start of an inline block                   | nothing, the spaces before it stay             |
| `OUTSIDE`   | end of an inline block                     | nothing, the spaces behind it stay             |
| `KEPT`      | a space, line feed, tab in a `pre`         | itself                                         |
| `BY_STYLE`  | start tag of what is hidden, a `pre`, …    | what `styled` makes of it                      |
| `WALK`      | anything else                              | the whole body is left to the walk             |
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from turbohtml import unescape

from worker.transform.text.boxes import ATOMIC, BREAK_OPPORTUNITY, INLINE, LINE_BREAK, NOT_RENDERED, QUOTATION, kind_of
from worker.transform.text.boxes import BLOCK as BLOCK_BOX
from worker.transform.text.css import TEXT_PROPERTIES, declarations
from worker.transform.text.style import ROOT, is_read
from worker.transform.text.user_agent_css import PREFORMATTED, UA_DISPLAY

if TYPE_CHECKING:
    from worker.transform.text.boxes import Kind

BLOCK, PARAGRAPH, BREAK, TABLE, ROW, CELL, BOX, CAPTION = "\x01\x02\x03\x04\x05\x06\x07\x08"
INSIDE, OUTSIDE = "\x0e\x0f"
KEPT = {" ": "\x10", "\n": "\x11", "\t": "\x12"}
BY_STYLE, WALK = ">", "<"  # no text has them: there they are `&gt;` and `&lt;`
BOXES = BOX + INSIDE + OUTSIDE
WRITTEN = ((BOX, ""), (INSIDE, ""), (OUTSIDE, ""), *((mark, kept) for kept, mark in KEPT.items()))
NOT_IN_TEXTS = (BLOCK, PARAGRAPH, BREAK, TABLE, ROW, CELL, BOX, CAPTION, "\f", "\u200b")
"""Marks, and characters that only the walk treats as it should: a text that contains one is left to the walk."""
ONLY_BY_STYLE = (INSIDE, OUTSIDE, *KEPT.values())
"""Marks that only `styled` writes. A text that contains one is left to the walk if `styled` is needed."""

_VOID_NAMES = """
    area base basefont bgsound br col embed frame hr img input keygen link meta param source track wbr
"""
WITH_LINE_FEED = frozenset({"pre", "listing"})
"""Elements whose first line feed is written twice, because a parser drops one."""
VOID = frozenset(_VOID_NAMES.split())
"""Elements that are written without an end tag (HTML standard §13.3)."""

_PARTS = re.compile(r"/?([a-z][-a-z0-9:_.]*)(?: [^ \"=<>/]+=\"[^\"]*\")*>")
_ATTRIBUTE = re.compile(' ([^ "=<>/]+)="([^"]*)"')
MOST_TAGS, MOST_CHARACTERS = 4096, 200
"""How many tags are remembered, and up to which length."""
# A form has no box in a table. Parsers differ in isindex, math, select, svg. The others hold text that is not escaped.
_WALK_NAMES = """
    form iframe isindex math noembed noframes noscript plaintext script select style svg template title xmp
"""
_FOR_THE_WALK = frozenset(_WALK_NAMES.split())
_COLLAPSE = frozenset({"normal", "nowrap"})
_SPACES, _CASES = _COLLAPSE | {"pre", "pre-line", "pre-wrap"}, frozenset({"none", "uppercase", "lowercase"})
_MARKS_BY_DISPLAY = {
    "inline": ("", ""),
    "inline-block": (INSIDE, OUTSIDE),
    "block": (BLOCK, BLOCK),
    "flow-root": (BLOCK, BLOCK),
    "list-item": (BLOCK, BLOCK),
}
_MARKS_IN_TABLES = {
    "table": (TABLE, BLOCK),
    "table-caption": (CAPTION, CAPTION),
    "table-row": (ROW, ""),
    "table-cell": (CELL, ""),
    "table-header-group": ("", ""),
    "table-row-group": ("", ""),
    "table-footer-group": ("", ""),
}
_NO_MARKS = (WALK, WALK)


class _ByTag(dict[str, str]):
    """Marks by tag, which is written without its `<`. Remembers at most `MOST_TAGS`, and no long tag."""

    def __missing__(self, tag: str) -> str:
        """Return the mark of a tag that is not remembered."""
        mark = _mark_of(tag)
        if len(tag) <= MOST_CHARACTERS:
            if len(self) >= MOST_TAGS:
                self.clear()
            self[tag] = mark
        return mark


by_tag = _ByTag()


def _mark_of(tag: str) -> str:
    parts = _PARTS.fullmatch(tag)
    if parts is None:
        return WALK
    name = parts[1]
    plain = kind_of(name, {}, ROOT)
    if tag.startswith("/"):
        return edges(name, plain)[1]
    attributes = attributes_of(tag)
    if any("inherit" in value for value in attributes.values()):
        return BY_STYLE
    kind = kind_of(name, attributes, ROOT)
    start = edges(name, kind)[0]
    says_nothing = kind.style is plain.style and kind.role == plain.role
    is_usual = start != INSIDE and kind.role != NOT_RENDERED and name not in PREFORMATTED
    return start if start == WALK or name in VOID or (says_nothing and is_usual) else BY_STYLE


def name_of(tag: str) -> str:
    """Return the name in a start tag."""
    return tag.partition(" ")[0].rstrip(">")


def attributes_of(tag: str) -> dict[str, str]:
    """Return the attributes of a start tag that text depends on."""
    name = name_of(tag)
    found = {attribute: unescape(value) for attribute, value in _ATTRIBUTE.findall(tag) if is_read(name, attribute)}
    if "style" in found and all(one.name not in TEXT_PROPERTIES for one in declarations(found["style"])):
        del found["style"]
    return found


def edges(name: str, kind: Kind) -> tuple[str, str]:
    """Return the marks of an element's start and end. Both are WALK if no marks describe the element."""
    style = kind.style
    if name in _FOR_THE_WALK or style.out_of_flow or not style.visible:
        return _NO_MARKS
    if style.white_space not in _SPACES or style.text_transform not in _CASES:
        return _NO_MARKS
    if kind.role == NOT_RENDERED:
        return "", ""
    if kind.role:
        return _edges_by_role(name, kind)
    in_tables = _MARKS_IN_TABLES.get(UA_DISPLAY.get(name, ""))
    if in_tables is not None:
        is_plain = style.display == UA_DISPLAY[name] and style.white_space in _COLLAPSE
        return in_tables if is_plain else _NO_MARKS
    start, end = _MARKS_BY_DISPLAY.get(style.display, _NO_MARKS)
    if name in VOID and end == OUTSIDE:
        return BOX, ""
    if kind.line_breaks == 2:
        return (PARAGRAPH, PARAGRAPH) if start == BLOCK else _NO_MARKS
    return start, end


def _edges_by_role(name: str, kind: Kind) -> tuple[str, str]:
    if kind.role == LINE_BREAK:
        return BREAK, ""
    if kind.role == BREAK_OPPORTUNITY:
        return "", ""
    if kind.role == QUOTATION and kind.placement == INLINE:
        return BOX, BOX
    if name in {"img", "input"} and kind.placement == ATOMIC:
        return BOX, ""
    if name == "img" and kind.placement == BLOCK_BOX and kind.line_breaks == 1:
        return BLOCK, ""
    return _NO_MARKS
