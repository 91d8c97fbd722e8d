"""Stand-ins for elements that safe HTML removes, where removing them would change the text.

A form that hides, a button, a list of options, a picture drawn in SVG: each becomes a `span` with the style
that the user-agent style sheet gives the element, so that it takes the same room. The text depends on
this module, safety does not: what it writes is sanitized like any other body.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from turbohtml import Element

from worker.transform.elements import OFFICE_ISLAND
from worker.transform.text import user_agent_css as ua
from worker.transform.text.css import by_importance, declarations
from worker.transform.text.style import aligned_float

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

# HTML standard §13.2.5.8: what ends a name is no other white space than this.
_NAME = re.compile(r"<([a-zA-Z][^ \t\n\r\f/>]*)")
_NAME_WITH_MORE = re.compile(r"<([a-zA-Z][^ \t\n\r\f/>]*+)(?!>)")
# Not shown, or dropped by every parser of a fragment.
_UNSEEN = frozenset({"body", "head", "html"} | {tag for tag, shown in ua.UA_DISPLAY.items() if shown == "none"})
_MAY_BE_SHOWN = re.compile(
    rf"<(?:{'|'.join(sorted(_UNSEEN - {'body', 'head', 'html'}))})[ \t\n\r\f/][^<>]*display", re.IGNORECASE
)
_ROOM = "inline-block"
_OWN_STYLE = {"button": "text-transform:none", "dialog": "float:left"}
# A `p` ends where one of them starts (§13.2.6.4.7), unless in something else that safe HTML goes without.
_END_A_PARAGRAPH = """
    address article aside blockquote center dd details dir div dl dt fieldset figcaption figure footer h1 h2 h3 h4 h5 h6
    header hgroup hr li main menu nav ol p pre section summary ul
"""
_IN_A_PARAGRAPH = ",".join(f"p {name}" for name in _END_A_PARAGRAPH.split())
_HOLD_BLOCKS = frozenset({"applet", "button", "foreignobject", "marquee", "object"})
_HOLD_PARAGRAPHS = "p, caption, td, th"
_OPTIONS = ":scope > option, :scope > optgroup > option"
_OPTION = "display:block;text-transform:none;white-space:normal"
_DRAWN_TEXT = "display:block"
_NO_PLACE_FOR_A_SPAN = frozenset({"table", "tbody", "tfoot", "thead", "tr"})
_ITEMS = re.compile("flex|grid", re.IGNORECASE)
_READ = ("align", "controls", "data", "hidden", "open", "type")


def tag_names(html: str) -> set[str]:
    """Return every name that stands behind a `<`, in lower case."""
    return set(map(str.lower, _NAME.findall(html)))


def needs_stand_ins(html: str, others: set[str]) -> bool:
    """Whether the loss of any element named in `others`, in lower case, may change the text.

    The loss of a bare Office element such as `<o:p>` changes nothing. Any other name may be an element of SVG or
    MathML, which the cleaner removes with everything in it.
    """
    if not others.isdisjoint(_UNSEEN) and "display" in html.lower() and _MAY_BE_SHOWN.search(html):
        return True
    others = others - _UNSEEN
    if any(":" not in name and name != OFFICE_ISLAND for name in others):
        return True
    return bool(others) and not others.isdisjoint(map(str.lower, _NAME_WITH_MORE.findall(html)))


def put_stand_ins(tree: Element, kept: frozenset[str]) -> None:
    """Put a `span` in place of each element of a tree whose name is not `kept`."""
    may_hold_blocks = False
    for element in list(tree.iter_elements()):
        tag = element.tag.lower()
        may_hold_blocks |= tag in _HOLD_BLOCKS
        if tag in kept or element.parent is None:
            continue
        if tag in _UNSEEN and not (tag not in ua.NEVER_SHOWN and _is_shown_by_style(element)):
            element.decompose()
        else:
            _stand_in(element, tag)
    for element in tree.select(_IN_A_PARAGRAPH) if may_hold_blocks else ():
        holder = element.parent.closest(_HOLD_PARAGRAPHS) if isinstance(element.parent, Element) else None
        if holder is not None and holder.tag == "p":
            _stand_in(element, element.tag)


def _is_shown_by_style(element: Element) -> bool:
    """Whether an element that nobody sees by itself has a style that shows it."""
    shown = [one.value for one in by_importance(declarations(element.attr("style") or "")) if one.name == "display"]
    return shown[-1:] not in ([], ["none"])


def _stand_in(element: Element, tag: str) -> None:
    attributes = {name: element.attr(name) or "" for name in _READ if name in element.attrs}
    style = ";".join(part for part in (_ua_style(tag, attributes), _own_style(element)) if part)
    has_no_place = isinstance(element.parent, Element) and element.parent.tag in _NO_PLACE_FOR_A_SPAN
    if has_no_place or not (element.attrs or style or _may_be_item(element)):
        element.unwrap()
        return
    if tag == "select":
        options = element.select(_OPTIONS)
        for option in options:
            _show_text(option)
        _show_alone(element, options, _OPTION)
    elif tag == "option":
        _show_text(element)
        style += ";text-transform:none;white-space:normal"
    elif tag == "svg":
        _show_alone(element, _drawn_texts(element), _DRAWN_TEXT)
    elif tag == "template" or ua.is_replaced(tag, attributes):
        element.clear()
    if tag == "embed":
        element.attrs.pop("hidden", None)
    element.tag = "span"
    element.attrs["style"] = style


def _may_be_item(element: Element) -> bool:
    """Whether an element may be an item of a flex or grid container: a block, which its text alone would not be."""
    parent = element.parent
    return isinstance(parent, Element) and _ITEMS.search(parent.attr("style") or "") is not None


def _own_style(element: Element) -> str:
    """Return an element's `style` without what reverts to the user-agent style sheet, which differs for a `span`."""
    style = element.attr("style") or ""
    if "revert" not in style.lower():
        return style
    return ";".join(str(one) for one in declarations(style) if not one.value.startswith("revert"))


def _ua_style(tag: str, attributes: Mapping[str, str]) -> str:
    """Return what the user-agent style sheet says about an element."""
    shown_as = ua.ua_display(tag, attributes)
    if shown_as == "inline" and (tag in {"select", "svg"} or ua.is_replaced(tag, attributes)):
        shown_as = _ROOM
    floated = aligned_float(tag, attributes)
    parts = (
        f"display:{shown_as}" if shown_as != "inline" else "",
        f"float:{floated}" if floated != "none" else "",
        "white-space:pre" if tag in ua.PREFORMATTED else "",
        _OWN_STYLE.get(tag, ""),
    )
    return ";".join(part for part in parts if part)


def _show_text(option: Element) -> None:
    """Keep only the text of an option, without that of scripts (HTML standard §4.10.10)."""
    option.remove("script")
    option.set_text(option.text)


def _show_alone(element: Element, lines: Iterable[Element], style: str) -> None:
    """Keep only some of an element's descendants, each on a line of its own."""
    shown = list(lines)
    element.clear()
    element.extend(shown)
    for line in shown:
        line.tag = "span"
        line.attrs.clear()
        line.attrs["style"] = style


def _drawn_texts(drawing: Element) -> Iterator[Element]:
    """Yield the elements of an SVG that hold text, in tree order."""
    waiting = [drawing]
    while waiting:
        element = waiting.pop()
        tag = element.tag.lower()
        if tag in ua.SVG_TEXT:
            yield element
        elif tag in ua.SVG_CONTAINERS:
            waiting += [child for child in element.children if isinstance(child, Element)][::-1]
