r"""What a tag means for text, said in one mark. `worker.transform.marked` puts the marks in the tags' places.

| mark | stands for                              | becomes                                         |
|------|-----------------------------------------|-------------------------------------------------|
| none | inline tag; end of a cell, row, section | nothing                                         |
| `<`  | edge of a block                         | in a run of edges: one line feed                |
| `>`  | edge of a `p`                           | in a run of edges: two line feeds               |
| `\n` | `br`                                    | itself                                          |
| `\f` | start of a table                        | edge of a block                                 |
| `\r` | start of a row                          | line feed, nothing in the table's first row     |
| `\t` | start of a cell                         | itself, nothing in the row's first cell         |
| `&;` | picture, input                          | nothing, but the spaces around it stay          |
| `&-` | start of what is not rendered           | cut out with everything up to its end tag       |
| `&=` | start of what keeps white space         | the edge that follows it; white space in it shows |
| `&!` | anything else                           | the body is read by the walk                    |

Nothing of this can be in the text between the tags: there `<`, `>` and `&` are written as references, and
white space is one space.

What an element computes to is asked of `worker.transform.style`, with a plain parent. Whatever of it depends
on the parent, or needs more than these marks can say, is `&!`.
"""

from __future__ import annotations

import html
import re

from worker.transform import display
from worker.transform.css import TEXT_PROPERTIES, declarations
from worker.transform.style import ROOT, Style, compute

INLINE = ""
BLOCK, PARAGRAPH = "<", ">"
BREAK = "\n"
TABLE, ROW, CELL = "\f", "\r", "\t"
PICTURE = "&;"
NOT_RENDERED = "&-"
KEEPS_WHITE_SPACE = "&="
WALK = "&!"

# Written into the text that keeps its white space.
KEPT = {" ": "&s;", "\n": "&n;", "\t": "&t;", "\r": "&r;"}

_TAG = re.compile(r"(/?)([a-z][-a-z0-9:_.]*)((?: .*)?)", re.DOTALL)
_ATTRIBUTE = re.compile(r' ([^ "=<>/]+)="([^"]*)"')
_VOID = frozenset({"area", "base", "basefont", "bgsound", "col", "img", "input", "link", "meta", "param", "source"})
# Their content is written without references.
_RAW = frozenset({"iframe", "noembed", "noframes", "plaintext", "script", "style", "xmp"})
# The walk asks for these by name, or for their children.
_PECULIAR = display.REPLACED - {"img", "input"} | {"details", "form", "math", "q", "select", "slot", "svg"}
_PRESERVING = frozenset({"pre", "pre-wrap", "break-spaces"})
_WIDE_KEYWORDS = frozenset({"inherit", "initial", "revert", "revert-layer", "unset"})
_EDGES = {
    "table": TABLE,
    "table-row": ROW,
    "table-cell": CELL,
    **dict.fromkeys(display.INLINE - {"contents", "math"} | display.TABLE_SECTIONS | display.TABLE_COLUMNS, INLINE),
    **dict.fromkeys(display.BLOCK_LEVEL - {"table", "table-caption"}, BLOCK),
}
_BY_NAME = {"br": BREAK, "wbr": INLINE, "p": PARAGRAPH, "img": PICTURE, "input": PICTURE}

# Read by no rule of text, and many: they are taken off before a tag is looked up. What is in them is not kept.
_UNREAD = re.compile(r' (?:alt|aria-[a-z]+|cite|data-[-a-z0-9]+|href|id|name|rel|src|srcset|target|title)="[^"]*"')


class Marks(dict[str, str]):
    """Marks by tag, each tag as it stands between its `<` and `>` in serialised HTML. Found out once, then kept.

    At most `MAX_KEPT` tags are kept, and no long one.
    """

    MAX_KEPT = 4096
    MAX_CHARACTERS = 160

    def __missing__(self, tag: str) -> str:
        """Find out the mark of a tag that is not kept."""
        read = _UNREAD.sub("", tag)
        if read != tag:
            return self[read]
        mark = mark_of(tag)
        if len(self) < self.MAX_KEPT and len(tag) <= self.MAX_CHARACTERS:
            self[tag] = mark
        return mark


def mark_of(tag: str) -> str:
    """Return the mark of a start or end tag."""
    parts = _TAG.fullmatch(tag)
    if parts is None:
        return WALK
    is_end, name, written = parts.groups()
    if name in _RAW:
        return WALK
    if is_end:
        return _end(name)
    found = _ATTRIBUTE.findall(written)
    if sum(len(attribute) + len(value) + 4 for attribute, value in found) != len(written):
        return WALK
    return _start(name, {attribute: html.unescape(value) for attribute, value in found})


def _end(name: str) -> str:
    """Return the mark of an end tag: the edge that the element has by itself. Others have the walk at their start."""
    if name == "table":
        return BLOCK
    edge = _edge(name, compute(name, {}, ROOT, None))
    return INLINE if edge in {TABLE, ROW, CELL, WALK} else edge


def _start(name: str, attributes: dict[str, str]) -> str:
    if _depends_on_parent(attributes.get("style", "")):
        return WALK
    style = compute(name, attributes, ROOT, None)
    if style.display == "none":
        return INLINE if name in _VOID else NOT_RENDERED
    plain = compute(name, {}, ROOT, None)
    if name in _PECULIAR or _is_peculiar(style) or (style.display != plain.display and plain.display != "none"):
        return WALK
    edge = _edge(name, style)
    if style.white_space in _PRESERVING and edge in {INLINE, BLOCK, PARAGRAPH}:
        return KEEPS_WHITE_SPACE + edge
    return edge if style.white_space in {"normal", "nowrap"} else WALK


def _depends_on_parent(style: str) -> bool:
    return any(rule.name in TEXT_PROPERTIES and rule.value in _WIDE_KEYWORDS for rule in declarations(style))


def _is_peculiar(style: Style) -> bool:
    return style.out_of_flow or not style.visible or style.text_transform != "none"


def _edge(name: str, style: Style) -> str:
    return _BY_NAME.get(name) or _EDGES.get(style.display, WALK)
