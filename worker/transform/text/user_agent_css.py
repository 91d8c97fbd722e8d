"""What elements are before any author's style: HTML standard §15.3 "Non-replaced elements", §15.4, §15.5.

Only what text depends on: `display`, `white-space`, and which elements show something other than their
children.
"""

from __future__ import annotations

from typing import Any, Protocol

_TABLE = {
    # §15.3.1 Hidden elements; datalist and noscript only stand in for something else.
    "none": """
        area base basefont datalist head link meta noembed noframes noscript param rp script style template title
    """,
    # §15.3.2 The page, §15.3.3 Flow content, §15.3.7 Sections and headings, §15.3.8 Lists, §15.3.11 fieldset,
    # §15.5 details, dialog and the groups of a select.
    "block": """
        address article aside blockquote body center dd details dialog dir div dl dt fieldset figcaption figure
        footer form frameset h1 h2 h3 h4 h5 h6 header hgroup hr html legend listing main menu nav ol optgroup
        option p plaintext pre search section summary ul xmp
    """,
    "list-item": "li",
    # §15.3.9 Tables
    "table": "table",
    "table-caption": "caption",
    "table-column-group": "colgroup",
    "table-column": "col",
    "table-header-group": "thead",
    "table-row-group": "tbody",
    "table-footer-group": "tfoot",
    "table-row": "tr",
    "table-cell": "td th",
    # §15.5 Widgets
    "inline-block": "button input marquee meter progress select textarea",
    "contents": "slot",
}
UA_DISPLAY = {tag: display for display, tags in _TABLE.items() for tag in tags.split()}

PREFORMATTED = frozenset({"listing", "plaintext", "pre", "xmp"})
# Not in the upper case of what is around them (HTML standard §15.5.1).
OWN_CASE = frozenset({"button", "select"})

# Shown as a thing of its own: a picture, a widget, another document. Children are not rendered.
REPLACED = frozenset(
    {"audio", "canvas", "embed", "iframe", "img", "input", "meter", "object", "progress", "textarea", "video"}
)
# Of these, what an `align` attribute floats (§15.4.3); so it does an `input` that is a picture.
ALIGNED = frozenset({"embed", "iframe", "img", "object"})
# Whatever a style says, because the element stands in for another, or nothing is kept in it.
NEVER_SHOWN = frozenset({"noembed", "noscript"})

# What of SVG holds text or leads to it; text outside `text` is not rendered (SVG 2 §11).
SVG_CONTAINERS = frozenset({"a", "clippath", "defs", "g", "marker", "mask", "pattern", "svg", "switch", "symbol"})
SVG_TEXT = frozenset({"text", "foreignobject"})

BLOCK_LEVEL = frozenset({"block", "flow-root", "list-item", "table", "flex", "grid", "-webkit-box", "table-caption"})
ATOMIC_INLINE = frozenset({"inline-block", "inline-table", "inline-flex", "inline-grid", "-webkit-inline-box"})
ITEM_CONTAINERS = frozenset({"flex", "inline-flex", "grid", "inline-grid"})
TABLE_SECTIONS = frozenset({"table-header-group", "table-row-group", "table-footer-group"})
TABLE_COLUMNS = frozenset({"table-column", "table-column-group"})
TABLE_PARTS = TABLE_SECTIONS | {"table-row", "table-cell"}
TABLES = frozenset({"table", "inline-table"})
INLINE = frozenset({"inline", "contents", "ruby", "ruby-text", "ruby-base", "math"})
# Parents that make no box of white space alone (CSS Tables 3 §2.2).
DROPS_WHITE_SPACE = TABLES | TABLE_SECTIONS | TABLE_COLUMNS | {"table-row"}

# Values of `display` (CSS Display 3 §2); the two-word forms are kept under their short equivalents (§2.8).
KEYWORDS = BLOCK_LEVEL | ATOMIC_INLINE | TABLE_PARTS | TABLE_COLUMNS | INLINE | {"none"}
TWO_WORDS = {
    "block flow": "block",
    "block flow-root": "flow-root",
    "inline flow": "inline",
    "inline flow-root": "inline-block",
    "block flex": "flex",
    "inline flex": "inline-flex",
    "block grid": "grid",
    "inline grid": "inline-grid",
    "block table": "table",
    "inline table": "inline-table",
    "flow-root list-item": "list-item",
    "list-item flow-root": "list-item",
    "inline list-item": "inline",
    "list-item inline": "inline",
    "-webkit-flex": "flex",
    "-webkit-inline-flex": "inline-flex",
}
_BLOCKIFIED = {
    "inline-table": "table",
    "inline-flex": "flex",
    "inline-grid": "grid",
    "-webkit-inline-box": "-webkit-box",
}


class Attributes(Protocol):
    """An element's attributes by name: those of a parsed tree, or a mapping. One without a value has "" or None."""

    def __contains__(self, name: object, /) -> bool:
        """Whether the element has it."""

    def get(self, name: str, /) -> Any:
        """Return its value. The attributes read here have a single string."""


def blockify(display: str) -> str:
    """Return the block-level equivalent (CSS Display 3 §2.7), which floats and flex items take on."""
    if display in BLOCK_LEVEL and display != "table-caption":
        return display
    if display in {"none", "contents"}:
        return display
    return _BLOCKIFIED.get(display, "block")


def ua_display(tag: str, attributes: Attributes) -> str:
    """Return an element's `display` in the user-agent style sheet, the `hidden` attribute included."""
    if "hidden" in attributes and tag != "embed":  # which is as small as can be instead (§15.3.1)
        return "none"
    if tag == "input" and (attributes.get("type") or "").strip().lower() == "hidden":
        return "none"
    if tag == "dialog" and "open" not in attributes:
        return "none"
    if tag == "audio" and "controls" not in attributes:
        return "none"
    return UA_DISPLAY.get(tag, "inline")


def is_replaced(tag: str, attributes: Attributes) -> bool:
    """Whether an element shows something other than its children. An object without data shows them."""
    if tag == "object":
        return bool(attributes.get("data") or attributes.get("type"))
    return tag in REPLACED
