"""Stand-ins for elements that safe HTML goes without but whose absence would change the text.

A form that hides, a button, a list of options, a picture drawn in SVG: each becomes a `span` with the style
that the user-agent style sheet gives the element, so that it takes the same room. Only correctness rests on
this module: what it writes is sanitised like any other body.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from turbohtml import Element

from worker.transform import display
from worker.transform.css import declarations
from worker.transform.elements import OFFICE_ISLAND

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

# HTML standard §13.2.5.8: what ends a name is no other white space than this.
_NAME = re.compile(r"<([a-zA-Z][^ \t\n\r\f/>]*)")
_NAME_WITH_MORE = re.compile(r"<([a-zA-Z][^ \t\n\r\f/>]*+)(?!>)")
# Not shown, or dropped by every parser of a fragment.
_UNSEEN = frozenset({"body", "head", "html"} | {tag for tag, shown in display.UA_DISPLAY.items() if shown == "none"})
_ROOM = "inline-block"
_OWN_STYLE = {"button": "text-transform:none", "dialog": "float:left"}
_OPTIONS = ":scope > option, :scope > optgroup > option"
_OPTION = "display:block;text-transform:none;white-space:normal"
_DRAWN_TEXT = "display:block"
_NO_PLACE_FOR_A_SPAN = frozenset({"table", "tbody", "tfoot", "thead", "tr"})
_ITEMS = re.compile("flex|grid", re.IGNORECASE)
_READ = ("controls", "data", "hidden", "open", "type")


def tag_names(html: str) -> set[str]:
    """Return every name that stands behind a `<`, in lower case."""
    return set(map(str.lower, _NAME.findall(html)))


def needs_stand_ins(html: str, others: set[str]) -> bool:
    """Whether the loss of any element named in `others`, in lower case, may change the text.

    That of what Office writes does not, as long as it is as bare as an `<o:p>`. Any other name may be one of SVG or
    MathML, which the cleaner takes away with all that is in it.
    """
    others = others - _UNSEEN
    if any(":" not in name and name != OFFICE_ISLAND for name in others):
        return True
    return bool(others) and not others.isdisjoint(map(str.lower, _NAME_WITH_MORE.findall(html)))


def put_stand_ins(tree: Element, kept: frozenset[str]) -> None:
    """Put a `span` in place of each element of a tree whose name is not `kept`."""
    for element in list(tree.iter_elements()):
        tag = element.tag.lower()
        if tag in kept or element.parent is None:
            continue
        if tag in _UNSEEN:
            element.decompose()
        else:
            _stand_in(element, tag)


def _stand_in(element: Element, tag: str) -> None:
    attributes = {name: element.attr(name) or "" for name in _READ if name in element.attrs}
    style = ";".join(part for part in (_ua_style(tag, attributes), _own_style(element)) if part)
    has_no_place = isinstance(element.parent, Element) and element.parent.tag in _NO_PLACE_FOR_A_SPAN
    if has_no_place or not (element.attrs or style or _may_be_item(element)):
        element.unwrap()
        return
    if tag == "select":
        _show_alone(element, element.select(_OPTIONS), _OPTION)
    elif tag == "svg":
        _show_alone(element, _drawn_texts(element), _DRAWN_TEXT)
    elif display.is_replaced(tag, attributes):
        element.clear()
    element.tag = "span"
    element.attrs["style"] = style


def _may_be_item(element: Element) -> bool:
    """Whether an element may be an item of a flex or grid container: a block, which its text alone would not be."""
    parent = element.parent
    return isinstance(parent, Element) and _ITEMS.search(parent.attr("style") or "") is not None


def _own_style(element: Element) -> str:
    """Return an element's `style`, without what goes back to the user-agent style sheet: a `span` has another."""
    style = element.attr("style") or ""
    if "revert" not in style.lower():
        return style
    return ";".join(str(one) for one in declarations(style) if not one.value.startswith("revert"))


def _ua_style(tag: str, attributes: Mapping[str, str]) -> str:
    """Return what the user-agent style sheet says about an element."""
    shown_as = display.ua_display(tag, attributes)
    if shown_as == "inline" and (tag in {"select", "svg"} or display.is_replaced(tag, attributes)):
        shown_as = _ROOM
    parts = (
        f"display:{shown_as}" if shown_as != "inline" else "",
        "white-space:pre" if tag in display.PREFORMATTED else "",
        _OWN_STYLE.get(tag, ""),
    )
    return ";".join(part for part in parts if part)


def _show_alone(element: Element, lines: Iterable[Element], style: str) -> None:
    """Leave of an element some in it, each as a line of its own."""
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
        if tag in display.SVG_TEXT:
            yield element
        elif tag in display.SVG_CONTAINERS:
            waiting += [child for child in element.children if isinstance(child, Element)][::-1]
