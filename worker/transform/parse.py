"""Parsing of a body: HTML standard §13.4 "Parsing HTML fragments"."""

from __future__ import annotations

import re

from selectolax.lexbor import LexborHTMLParser

_SURROGATE = re.compile(r"[\ud800-\udfff]")


def parse(html: str) -> LexborHTMLParser:
    """Parse a body as the `innerHTML` of a `<div>`, in a page with scripts: a `noscript` ends at its end tag."""
    return LexborHTMLParser(well_formed(html), is_fragment=True, scripting=True)


def well_formed(text: str) -> str:
    """Return the text as a parser takes it: a lone surrogate is U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text)
    return text
