"""Parsing of a body: HTML standard §13.4 "Parsing HTML fragments".

Scripting is on, as in a browser: a `noscript` ends at its end tag, whatever is in it.
"""

from __future__ import annotations

import re

from selectolax.lexbor import LexborHTMLParser, LexborNode
from turbohtml import Element, parse_fragment

_SURROGATE = re.compile(r"[\ud800-\udfff]")


def parse(html: str) -> LexborHTMLParser:
    """Parse a body as the `innerHTML` of a `<div>`."""
    return LexborHTMLParser(well_formed(html), is_fragment=True, scripting=True)


def parse_in_page(html: str) -> tuple[LexborHTMLParser, LexborNode]:
    """Parse a body as `parse` does. Returns a page, and the `<div>` in it whose children the body is."""
    page = LexborHTMLParser("<!DOCTYPE html><body><div></div>", scripting=True)
    box = page.css("div")[0]
    node = parse(html).root
    while node is not None:
        box.insert_child(node)
        node = node.next
    return page, box


def parse_to_write(html: str) -> Element:
    """Parse a well-formed body with the parser that writes it out again, as `inner_html`."""
    return parse_fragment(html, positions=False, scripting=True)


def well_formed(text: str) -> str:
    """Return the text as a parser takes it: a lone surrogate is U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text)
    return text
