"""The computed style of an element, as far as text depends on it (CSS Cascade 4; CSS 2.2 §9.7 for floats)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from worker.transform.text.css import Declaration, by_importance, declarations
from worker.transform.text.user_agent_css import (
    ALIGNED,
    ITEM_CONTAINERS,
    KEYWORDS,
    NEVER_SHOWN,
    OWN_CASE,
    PREFORMATTED,
    TWO_WORDS,
    blockify,
    ua_display,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from worker.transform.text.user_agent_css import Attributes

_VALUES = {
    "visibility": frozenset({"visible", "hidden", "collapse"}),
    "white-space": frozenset({"normal", "nowrap", "pre", "pre-wrap", "pre-line", "break-spaces"}),
    "text-transform": frozenset({"none", "uppercase", "lowercase", "capitalize"}),
    "float": frozenset({"none", "left", "right", "inline-start", "inline-end"}),
    "position": frozenset({"static", "relative", "sticky", "absolute", "fixed"}),
    "display": KEYWORDS,
}
_INITIAL = {
    "visibility": "visible",
    "white-space": "normal",
    "text-transform": "none",
    "float": "none",
    "position": "static",
    "display": "inline",
}
_INHERITED = ("visibility", "white-space", "text-transform")
# Of these elements more is read than `hidden` and `style`.
_MORE = frozenset({"align", "controls", "data", "open", "type"})
_SAY_MORE = ALIGNED | {"audio", "details", "dialog", "input", "table"}
_FORM_HAS_NO_BOX_IN = frozenset({"table", "tbody", "tfoot", "thead", "tr"})
_HIDING = frozenset({"hidden", "collapse"})


@dataclass(frozen=True, slots=True, eq=False)
class Style:
    """Used values: `display` after blockification, `out_of_flow` for floats and absolute positions.

    `shows_forms` is false in a table, a section or a row by name (HTML standard §15.3.9). Equal styles are one object.
    """

    display: str
    out_of_flow: bool
    visible: bool
    visibility: str
    white_space: str
    text_transform: str
    shows_forms: bool


_style = lru_cache(maxsize=None)(Style)  # of a few keywords each

ROOT = _style("block", False, True, "visible", "normal", "none", True)


def is_read(tag: str, attribute: str) -> bool:
    """Whether what an element computes to, or shows, depends on an attribute of it."""
    return attribute in {"hidden", "style"} or (attribute in _MORE and tag in _SAY_MORE)


def says_more(tag: str, attributes: Attributes) -> bool:
    """Whether attributes other than `style` affect an element."""
    return tag in _SAY_MORE or "hidden" in attributes


def with_display(style: Style, display: str) -> Style:
    """Return the style with another `display`."""
    one = style
    return _style(
        display, one.out_of_flow, one.visible, one.visibility, one.white_space, one.text_transform, one.shows_forms
    )


def compute(tag: str, attributes: Attributes, parent: Style, by_rules: Sequence[Declaration] = ()) -> Style:
    """Return an element's style, from its tag, its attributes, its parent's style, and what rules declare for it.

    What rules declare is given the weakest first.
    """
    values = _ua_values(tag, attributes, parent)
    inline = attributes.get("style")
    declared = [*by_rules, *declarations(inline)] if inline else by_rules
    if declared:
        _apply(by_importance(declared), values, ua=dict(values), parent=parent)
    out_of_flow = values["float"] != "none" or values["position"] in {"absolute", "fixed"}
    display = values["display"]
    if tag in NEVER_SHOWN or (tag == "form" and not parent.shows_forms):
        display = "none"
    if out_of_flow or parent.display in ITEM_CONTAINERS:
        display = blockify(display)
    return _style(
        display,
        out_of_flow,
        values["visibility"] not in _HIDING,
        values["visibility"],
        values["white-space"],
        values["text-transform"],
        tag not in _FORM_HAS_NO_BOX_IN,
    )


def _ua_values(tag: str, attributes: Attributes, parent: Style) -> dict[str, str]:
    return {
        "visibility": parent.visibility,
        "white-space": "pre" if tag in PREFORMATTED else parent.white_space,
        "text-transform": "none" if tag in OWN_CASE else parent.text_transform,
        "float": aligned_float(tag, attributes) if "align" in attributes else "none",
        "position": "absolute" if tag == "dialog" else "static",
        "display": ua_display(tag, attributes),
    }


def aligned_float(tag: str, attributes: Attributes) -> str:
    """Return where an `align` attribute floats a table or a picture (HTML standard §15.3.9, §15.4.3)."""
    align = (attributes.get("align") or "").lower()
    if tag == "table":
        align = align.strip()
    elif tag not in ALIGNED and not (tag == "input" and (attributes.get("type") or "").lower() == "image"):
        return "none"
    return align if align in {"left", "right"} else "none"


def _apply(declared: Iterable[Declaration], values: dict[str, str], ua: Mapping[str, str], parent: Style) -> None:
    """Overwrite `values`, the weakest declaration first. An invalid value leaves the earlier one."""
    for declaration in declared:
        name = declaration.name
        if name not in _VALUES:
            continue
        value = TWO_WORDS.get(" ".join(declaration.value.split()), declaration.value)
        if value in _VALUES[name]:
            values[name] = value
        elif value in {"inherit", "unset", "initial", "revert"}:
            values[name] = _wide_keyword(value, name, ua, parent)


def _wide_keyword(value: str, name: str, ua: Mapping[str, str], parent: Style) -> str:
    """Resolve a CSS-wide keyword (CSS Cascade 4 §7.3)."""
    if value == "revert":
        return ua[name]
    if value == "inherit" or (value == "unset" and name in _INHERITED):
        return _parents(parent, name)
    return _INITIAL[name]


def _parents(parent: Style, name: str) -> str:
    known = {
        "display": parent.display,
        "visibility": parent.visibility,
        "white-space": parent.white_space,
        "text-transform": parent.text_transform,
    }
    return known.get(name, _INITIAL[name])
