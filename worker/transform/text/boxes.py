"""What box an element makes, and what the text has around it: CSS Display 3, HTML standard §3.2.7, steps 1 to 9.

What an element is depends on its tag, its attributes and its parent's style. Letters use few
combinations of these, so results are remembered.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from worker.transform.text import user_agent_css as ua
from worker.transform.text.style import Style, compute, says_more, with_display

if TYPE_CHECKING:
    from worker.transform.text.user_agent_css import Attributes

INLINE, ATOMIC, BLOCK, ASIDE = "inline", "atomic", "block", "aside"
"""How a box stands among its siblings: part of its parent's line, one thing in it, lines of its own, or out of them."""

NOT_RENDERED, COLUMNS, LINE_BREAK, BREAK_OPPORTUNITY = "not rendered", "columns", "line break", "break opportunity"
SELECT, OPTION, REPLACED, TEMPLATE = "select", "option", "replaced", "template"
QUOTATION, DRAWING, CLOSED = "quotation", "drawing", "closed"
_LEAVES = frozenset({NOT_RENDERED, COLUMNS, LINE_BREAK, BREAK_OPPORTUNITY, SELECT, OPTION, REPLACED, TEMPLATE})
_ROLE_BY_DISPLAY = {"none": NOT_RENDERED, "table-column": COLUMNS, "table-column-group": COLUMNS}
_ROLE_BY_TAG = {
    "br": LINE_BREAK,
    "option": OPTION,
    "q": QUOTATION,
    "select": SELECT,
    "svg": DRAWING,
    "template": TEMPLATE,  # what is in it is in another document
    "wbr": BREAK_OPPORTUNITY,
}
_SEPARATORS = {"table-cell": "\t", "table-row": "\n"}
_MOST_CHARACTERS = 500  # of what is remembered


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """What an element is to the walk.

    `line_breaks` are required before and behind it, `separator` stands behind it if another cell or row follows. `role`
    is "" for most elements. The children of one that `is_leaf` are not walked. One that `is_transparent` does nothing
    but hand its style on. White space `collapses` in it, and nothing else happens to its text.
    """

    style: Style
    placement: str
    line_breaks: int
    separator: str
    role: str
    is_leaf: bool
    is_transparent: bool
    collapses: bool


def root_kind(style: Style) -> Kind:
    """Return the kind of the block that a body stands in."""
    return _with_style(style, BLOCK, 0, "", "")


def kind_of(tag: str, attributes: Attributes, parent: Style, *, in_drawing: bool = False) -> Kind:
    """Return what an element is."""
    style = ""
    if attributes:
        if says_more(tag, attributes):
            return _kind(tag, attributes, parent, in_drawing=in_drawing)
        style = attributes.get("style") or ""
    if in_drawing or len(tag) + len(style) > _MOST_CHARACTERS:
        return _kind(tag, attributes, parent, in_drawing=in_drawing)
    return _remembered(tag, style, parent)


@lru_cache(maxsize=4096)
def _remembered(tag: str, style: str, parent: Style) -> Kind:
    return _kind(tag, {"style": style} if style else {}, parent)


def _kind(tag: str, attributes: Attributes, parent: Style, *, in_drawing: bool = False) -> Kind:
    style = compute(tag, attributes, parent)
    role = _role(tag, attributes, style)
    if in_drawing and tag in ua.SVG_TEXT:
        style = with_display(style, "block")
    placement = _placement(style, parent, stands_alone=role in {SELECT, DRAWING, REPLACED})
    # Steps 2 and 3: what is not visible, or has no box of its own, gives its items and nothing around.
    has_edges = style.visible and style.display != "contents"
    separator = _SEPARATORS.get(style.display, "") if has_edges else ""
    line_breaks = _line_breaks(tag, style, placement) if has_edges and not separator else 0
    return _with_style(style, placement, line_breaks, separator, role)


def _with_style(style: Style, placement: str, line_breaks: int, separator: str, role: str) -> Kind:
    return Kind(
        style,
        placement,
        line_breaks,
        separator,
        role,
        is_leaf=role in _LEAVES,
        is_transparent=placement == INLINE and not (line_breaks or separator or role),
        collapses=style.visible
        and style.white_space in {"normal", "nowrap"}
        and style.text_transform == "none"
        and style.display not in ua.DROPS_WHITE_SPACE,
    )


def _role(tag: str, attributes: Attributes, style: Style) -> str:
    role = _ROLE_BY_DISPLAY.get(style.display) or _ROLE_BY_TAG.get(tag)
    if role:
        return role
    if tag == "details" and "open" not in attributes:
        return CLOSED
    return REPLACED if ua.is_replaced(tag, attributes) else ""


def _placement(style: Style, parent: Style, *, stands_alone: bool) -> str:
    if style.out_of_flow:
        # An item does not float, and beside one that is positioned each text is an item (CSS Flexbox 1 §4).
        return BLOCK if parent.display in ua.ITEM_CONTAINERS else ASIDE
    if style.display in ua.ATOMIC_INLINE:
        return ATOMIC
    if style.display in ua.INLINE:
        return ATOMIC if stands_alone else INLINE
    return BLOCK


def _line_breaks(tag: str, style: Style, placement: str) -> int:
    if tag == "p":
        return 2
    return 1 if placement != INLINE and style.display in ua.BLOCK_LEVEL else 0
