r"""What a tag means for text, said in one mark. `worker.transform.layout` says what marks come to together.

| mark | stands for                              | becomes                                         |
|------|-----------------------------------------|-------------------------------------------------|
| none | inline tag; end of a cell, row, section | nothing                                         |
| `>`  | edge of a block                         | in a run of edges: one line feed                |
| `\v` | edge of a `p`                           | in a run of edges: two line feeds               |
| `\n` | `br`                                    | itself                                          |
| `\f` | start of a table                        | edge of a block                                 |
| `\r` | start of a row                          | line feed, nothing in the table's first row     |
| `\t` | start of a cell                         | itself, nothing in the row's first cell         |
| `&c` | start of a caption, whose end is `\f`  | edge of a block, if it is the first in its table |
| `&g` | edge of a group of columns              | nothing, if it is the first in its table        |
| `<.` | picture, input; both ends of a `q`      | nothing, but the spaces around it stay          |
| `&?` | `style`, `script`, comment              | the body is looked at again without them        |
| `&!` | anything else                           | the body is read by the walk                    |

What reaches up to an end tag that has to be found (`worker.transform.regions`, `worker.transform.kept`):

| mark | stands for the start of                 | becomes                                         |
|------|-----------------------------------------|-------------------------------------------------|
| `&-` | what is not rendered                    | cut out, with everything in it                  |
| `&=` | what keeps white space                  | the edge that follows it, at its end too        |
| `&|` | what keeps line feeds alone             | the same                                        |
| `&^` | what is in upper case                   | the same                                        |
| `&~` | what has another `display` than its name | the same                                       |
| `&v` | closed `details`                        | the same, without all behind its `summary`     |
| `&d` | an SVG drawing                          | an inline block, its texts blocks in it         |
| `&o` | a list of options                       | an inline block, its options blocks in it       |
| `&f` | a flex or grid container                | the edge that follows it, its items blocks in it |
| `&u` | a line's part that is not visible       | `<|`, for a text that begins and ends in words  |
| `&r` | what shows another thing than its content | a picture                                      |
| `&h` | a block that is not visible             | `<]`: spaces around it go                       |
| `<(` | an inline block                         | `<(` and `<)`: spaces inside them go            |

A run of marks is turned into text before it is put beside a text. Only marks of boxes stay, and no text has a `<`.

What an element computes to is asked of `worker.transform.style`, with a plain parent. Whatever of it depends
on the parent, or needs more than these marks can say, is `&!`.
"""

from __future__ import annotations

import html
import re

from worker.transform import display
from worker.transform.css import TEXT_PROPERTIES, declarations
from worker.transform.elements import ELEMENTS, OFFICE_ISLAND, OFFICE_PREFIXES, SVG_ELEMENTS
from worker.transform.style import ROOT, Style, compute

INLINE = ""
BLOCK, PARAGRAPH = ">", "\v"
BREAK = "\n"
TABLE, ROW, CELL = "\f", "\r", "\t"
CAPTION = "&c"
COLUMNS = "&g"
PICTURE = "<."
CLEAN_FIRST = "&?"
WALK = "&!"
NOT_RENDERED = "&-"
KEEPS_WHITE_SPACE, KEEPS_LINE_FEEDS, UPPER_CASE, ANOTHER_DISPLAY = "&=", "&|", "&^", "&~"
CLOSED = "&v"
DRAWING, OPTIONS, ITEMS, REPLACED = "&d", "&o", "&f", "&r"
INVISIBLE, UNSEEN = "&h", "&u"
INLINE_BLOCK, INLINE_BLOCK_END, INVISIBLE_BLOCK, UNSEEN_TEXT = "<(", "<)", "<]", "<|"
EDGES = (INLINE, BLOCK, PARAGRAPH)
REGIONS = frozenset(
    {NOT_RENDERED, INLINE_BLOCK, INVISIBLE, UNSEEN, DRAWING, OPTIONS, REPLACED}
    | {
        region + edge
        for region in (KEEPS_WHITE_SPACE, KEEPS_LINE_FEEDS, UPPER_CASE, ANOTHER_DISPLAY, CLOSED, ITEMS)
        for edge in EDGES
    }
)


_TAG = re.compile(r"(/?)([a-z][-a-z0-9:_.]*)((?: .*)?)", re.DOTALL)
_ATTRIBUTE = re.compile(r' ([^ "=<>/]+)="([^"]*)"')
# HTML standard §13.3: no end tag is written.
_VOID_NAMES = """
    area base basefont bgsound br col embed frame hr img input keygen link meta param source track wbr
"""
VOID = frozenset(_VOID_NAMES.split())
# Their content is written without references.
_RAW = frozenset({"iframe", "noembed", "noframes", "plaintext", "script", "style", "xmp"})
# The walk asks for these by name, or for their children. An end tag closes `isindex` for one parser, not for another.
_PECULIAR = frozenset({"form", "iframe", "isindex", "math", "option", "slot"})
_KEEPING = {
    **dict.fromkeys(("pre", "pre-wrap", "break-spaces"), KEEPS_WHITE_SPACE),
    "pre-line": KEEPS_LINE_FEEDS,
}
_SIMPLE = frozenset({"block", "flow-root", "inline", "list-item"})
_CONTAINERS = display.ITEM_CONTAINERS & display.BLOCK_LEVEL
_WIDE_KEYWORDS = frozenset({"inherit", "initial", "revert", "revert-layer", "unset"})
_EDGES = {
    "table": TABLE,
    "table-row": ROW,
    "table-cell": CELL,
    "table-caption": CAPTION,
    "table-column": INLINE,
    "table-column-group": COLUMNS,
    **dict.fromkeys(display.INLINE - {"contents", "math"} | display.TABLE_SECTIONS, INLINE),
    **dict.fromkeys(display.BLOCK_LEVEL - {"table", "table-caption"}, BLOCK),
}
_BY_NAME = {"br": BREAK, "wbr": INLINE, "p": PARAGRAPH, "img": PICTURE, "input": PICTURE, "q": PICTURE, "svg": DRAWING}

_KNOWN_NAMES = ELEMENTS | SVG_ELEMENTS | {OFFICE_ISLAND}
# Read by text, or of a few values that editors write.
_READ_ATTRIBUTES = """
    align bgcolor border cellpadding cellspacing charset class clear color colspan controls data dir face height hidden
    lang open rowspan size span start style type valign width
"""
READ_ATTRIBUTES = frozenset(_READ_ATTRIBUTES.split())
# As a serialiser writes them, one after the other, so that no value is taken for one. Behind a `>`, white space is
# between tags.
_WRITTEN_ATTRIBUTE = re.compile(r"""(?<![> \n\t\r])[ \n\t\r]([^ \n\t\r>/]+?)="[^"]*\"""")


class Marks(dict[str, str]):
    """Marks by tag, as it stands between its `<` and `>` in serialised HTML.

    Found out once, then kept: so many tags at most, no long one, and none with a name or an attribute that no rule
    reads, which may be words of a message. Values of the attributes that are read stay as they are written.
    """

    MAX_KEPT = 4096
    MAX_CHARACTERS = 160
    MAX_READ = 2_000

    def __init__(self) -> None:
        super().__init__()
        self.of_this_body: dict[str, str] = {}  # those that are not kept, until its text is read

    def without_unread(self, tags: str) -> str:
        """Return tags without the attributes that no rule of text reads. They are many, and may hold words."""
        return _WRITTEN_ATTRIBUTE.sub(self._if_read, tags)

    def _if_read(self, attribute: re.Match[str]) -> str:
        return attribute[0] if attribute[1] in READ_ATTRIBUTES else ""

    def __missing__(self, tag: str) -> str:
        """Find out the mark of a tag that is not kept."""
        mark = self.of_this_body.get(tag)
        if mark is not None:
            return mark
        read = self.without_unread(tag)
        if read != tag:
            return self[read]
        if len(tag) > self.MAX_READ:
            return WALK  # which reads its declarations once
        mark = mark_of(tag)
        if len(tag) > self.MAX_CHARACTERS or not _is_known(tag):
            self.of_this_body[tag] = mark
            return mark
        if len(self) >= self.MAX_KEPT:
            self.clear()
        self[tag] = mark
        return mark


def _is_known(tag: str) -> bool:
    """Whether a tag without unread attributes has a name of HTML, SVG or Office, and nothing that is no attribute."""
    name = _WRITTEN_ATTRIBUTE.sub("", tag).removeprefix("/")
    return name in _KNOWN_NAMES or (" " not in name and name.partition(":")[0] in OFFICE_PREFIXES)


def mark_of(tag: str) -> str:
    """Return the mark of a start or end tag."""
    if tag.startswith("!--"):
        return CLEAN_FIRST
    parts = _TAG.fullmatch(tag)
    if parts is None:
        return WALK
    is_end, name, written = parts.groups()
    if name in _RAW:
        return CLEAN_FIRST if name in {"script", "style"} else WALK
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
    edge = _edge(name, _by_itself(name))
    if edge == CAPTION:
        return TABLE  # what follows it is the first row
    return INLINE if edge in {TABLE, ROW, CELL, WALK, INLINE_BLOCK, DRAWING} else edge


def _start(name: str, attributes: dict[str, str]) -> str:
    if _depends_on_parent(attributes.get("style", "")):
        return WALK
    style = compute(name, attributes, ROOT)
    if style.display == "none":
        return INLINE if name in VOID else NOT_RENDERED
    is_open = name == "details" and "open" in attributes
    if is_open or name in _PECULIAR or style.out_of_flow:
        return WALK
    edge = _edge(name, style)
    if name == "select":
        return OPTIONS if style == _by_itself(name) else WALK
    if not style.visible:
        return _unseen(name, style)
    regions = _regions(name, style)
    if display.is_replaced(name, attributes) and name not in _BY_NAME:
        return WALK if regions else PICTURE if name in VOID else REPLACED
    if not regions:
        return edge
    if regions == [ANOTHER_DISPLAY] and style.display in _CONTAINERS and edge in EDGES:
        return ITEMS + edge
    is_simple = len(regions) == 1 and style.display in _SIMPLE and edge in EDGES
    return regions[0] + edge if is_simple and regions[0] != WALK else WALK


def _unseen(name: str, style: Style) -> str:
    """Return the mark of an element that is not visible."""
    if not _is_simple_by_itself(name) or style.display not in _SIMPLE or _edge(name, style) not in EDGES:
        return WALK
    return UNSEEN if style.display == "inline" else INVISIBLE


def _regions(name: str, style: Style) -> list[str]:
    """Return what makes an element's end, or the text in it, another than its name says."""
    plain = _by_itself(name)
    regions = [CLOSED] if name == "details" else []  # open ones are for the walk
    if style.display != plain.display and not _is_inline_block(name, style):
        # A `p` has line feeds around it also where its line goes on.
        is_simple = _is_simple_by_itself(name) and (name, style.display) != ("p", "inline")
        regions.append(ANOTHER_DISPLAY if is_simple else WALK)
    if style.white_space not in {"normal", "nowrap"}:
        regions.append(_KEEPING.get(style.white_space, WALK))
    if style.text_transform != "none":
        regions.append(UPPER_CASE if style.text_transform == "uppercase" else WALK)
    return regions


def _by_itself(name: str) -> Style:
    """Return the style of an element without attributes."""
    return compute(name, {}, ROOT)


def _is_simple_by_itself(name: str) -> bool:
    plain = _by_itself(name)
    return plain.display in _SIMPLE and _edge(name, plain) in EDGES


def _depends_on_parent(style: str) -> bool:
    return any(rule.name in TEXT_PROPERTIES and rule.value in _WIDE_KEYWORDS for rule in declarations(style))


def _is_inline_block(name: str, style: Style) -> bool:
    by_name = display.UA_DISPLAY.get(name, "inline")
    return style.display == "inline-block" and name not in _BY_NAME and by_name in _SIMPLE | {"inline-block"}


def _edge(name: str, style: Style) -> str:
    if _is_inline_block(name, style):
        return INLINE_BLOCK
    return _BY_NAME.get(name) or _EDGES.get(style.display, WALK)
