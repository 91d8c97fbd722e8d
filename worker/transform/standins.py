"""Stand-ins for elements that safe HTML goes without but whose absence would change the text.

A form that hides, a button, a list of options, a picture drawn in SVG: each becomes a `span` with the style
that the user-agent style sheet gives the element, so that it takes the same room. Only correctness rests on
this module: what it writes is sanitised like any other body.
"""

from __future__ import annotations

import html as _html
import re
from typing import TYPE_CHECKING

from worker.transform import display
from worker.transform.parse import parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from selectolax.lexbor import LexborNode

_NAME = re.compile(r"<([a-zA-Z][^\s/>]*)")
_NAME_WITH_STYLE = re.compile(r"<([a-z][^\s/<>]*+)[^<>]*?\b(?:hidden|style|align)\b", re.IGNORECASE)
# Not shown, or dropped by every parser of a fragment.
_UNSEEN = frozenset({"body", "head", "html"} | {tag for tag, shown in display.UA_DISPLAY.items() if shown == "none"})
# What is in a `noscript` is text to one parser and elements to another.
_READ_ALIKE = _UNSEEN - {"noscript"}
_SPECIAL = (frozenset(display.UA_DISPLAY) | display.REPLACED | {"math", "object", "svg"}) - _READ_ALIKE
_ROOM = "inline-block"
_OWN_STYLE = {"button": "text-transform:none", "dialog": "float:left"}
_OPTION = '<span style="display:block;text-transform:none;white-space:normal">'
_DRAWN_TEXT = '<span style="display:block">'
_VOID = frozenset({"br", "col", "hr", "img", "wbr"})
_NO_PLACE_FOR_A_SPAN = frozenset({"table", "tbody", "tfoot", "thead", "tr"})


def tag_names(html: str) -> set[str]:
    """Return every name that stands behind a `<`, as it is written."""
    return set(_NAME.findall(html))


def needs_stand_ins(html: str, others: set[str]) -> bool:
    """Whether the loss of any element named in `others`, in lower case, would change the text."""
    others = others - _READ_ALIKE
    if not others:
        return False
    return bool(others & _SPECIAL) or not others.isdisjoint(map(str.lower, _NAME_WITH_STYLE.findall(html)))


def with_stand_ins(html: str, kept: frozenset[str]) -> str:
    """Return the body with a `span` in place of each element whose name is not `kept`."""
    written: list[str] = []
    waiting: list[LexborNode | str] = _in_stack_order(_siblings(parse(html).root))
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            written.append(item)
        elif item.is_text_node:
            written.append(_html.escape(item.text_content or "", quote=False))
        elif item.is_element_node:
            waiting += _in_stack_order(_replacement(item, kept))
    return "".join(written)


def _in_stack_order(items: Iterator[LexborNode | str]) -> list[LexborNode | str]:
    return list(items)[::-1]


def _siblings(node: LexborNode | None) -> Iterator[LexborNode]:
    while node is not None:
        yield node
        node = node.next


def _replacement(node: LexborNode, kept: frozenset[str]) -> Iterator[LexborNode | str]:
    """Yield what is written for an element: strings, and its children that are still to be written."""
    tag = (node.tag or "").lower()
    attributes = node.attributes
    if tag in kept:
        yield f"<{tag}{_attributes(attributes)}>"
        if tag == "pre" and node.child is not None and (node.child.text_content or "").startswith("\n"):
            yield "\n"  # the one that a parser drops
        yield from _siblings(node.child)
        if tag not in _VOID:
            yield f"</{tag}>"
    elif tag not in _UNSEEN:
        parent = (node.parent.tag or "").lower() if node.parent is not None else ""
        style = _style(tag, attributes)
        if (not attributes and not style) or parent in _NO_PLACE_FOR_A_SPAN:
            yield from _siblings(node.child)
        else:
            yield f"<span{_attributes({**attributes, 'style': style})}>"
            yield from _shown_children(node, tag)
            yield "</span>"


def _style(tag: str, attributes: Mapping[str, str | None]) -> str:
    """Return what the user-agent style sheet says about an element, and then its own `style`."""
    shown_as = display.ua_display(tag, attributes)
    if shown_as == "inline" and (tag in {"select", "svg"} or display.is_replaced(tag, attributes)):
        shown_as = _ROOM
    parts = (
        f"display:{shown_as}" if shown_as != "inline" else "",
        "white-space:pre" if tag in display.PREFORMATTED else "",
        _OWN_STYLE.get(tag, ""),
        attributes.get("style") or "",
    )
    return ";".join(part for part in parts if part)


def _shown_children(node: LexborNode, tag: str) -> Iterator[LexborNode | str]:
    if tag == "select":
        yield from _as_lines(_options(node), _OPTION)
    elif tag == "svg":
        yield from _as_lines(_drawn_texts(node), _DRAWN_TEXT)
    elif not display.is_replaced(tag, node.attributes):
        yield from _siblings(node.child)


def _as_lines(nodes: Iterator[LexborNode], line: str) -> Iterator[LexborNode | str]:
    for node in nodes:
        yield line
        yield from _siblings(node.child)
        yield "</span>"


def _options(select: LexborNode) -> Iterator[LexborNode]:
    for child in _siblings(select.child):
        if child.tag == "option":
            yield child
        elif child.tag == "optgroup":
            yield from (option for option in _siblings(child.child) if option.tag == "option")


def _drawn_texts(drawing: LexborNode) -> Iterator[LexborNode]:
    """Yield the elements of an SVG that hold text, in tree order."""
    waiting = _in_stack_order(_siblings(drawing.child))
    while waiting:
        node = waiting.pop()
        if isinstance(node, str) or not node.is_element_node:
            continue
        tag = (node.tag or "").lower()
        if tag in display.SVG_TEXT:
            yield node
        elif tag in display.SVG_CONTAINERS:
            waiting += _in_stack_order(_siblings(node.child))


def _attributes(attributes: Mapping[str, str | None]) -> str:
    return "".join(f' {name}="{_html.escape(value or "")}"' for name, value in attributes.items())
