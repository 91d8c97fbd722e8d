"""How much markup one message may hold before it is read as text only.

Parsers take time that grows with the square of some things: nesting, attributes of one tag, options, and
formatting elements left open, which are opened again in every paragraph (HTML standard §13.2.4.3). These
caps bound one call to about a tenth of a second; a clinic's letter stays far below them.
"""

from __future__ import annotations

import re

MAX_CHARACTERS = 256 * 1024
MAX_TAGS = 4_000  # bounds nesting too
MAX_EQUALS_SIGNS = 4_000
MAX_OPTIONS = 2_500
MAX_ATTRIBUTES = 4_000  # of one tag
MAX_REOPENED_ELEMENTS = 40_000
MAX_REOPENED_CHARACTERS = 2_000_000
_FEW_TAGS = 200
_SHORT = 8 * 1024

_OPTION = re.compile(r"<option", re.IGNORECASE)
# A comment, or a start tag as the tokenizer takes it (HTML standard §13.2.5).
_ATTRIBUTE = r"""[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s>"'][^\s>]*+)?)?+"""
_START_TAG = re.compile(rf"<!--.*?(?:-->|\Z)|<[a-z][^\s/>]*+((?:[\s/]++|{_ATTRIBUTE})*+)", re.IGNORECASE | re.DOTALL)
_EACH_ATTRIBUTE = re.compile(_ATTRIBUTE)
# `a` and `nobr` are not among them: another one closes the one before.
_FORMATTING = re.compile(r"(?:b|big|code|em|font|i|s|small|strike|strong|tt|u)(?=[\s/>])", re.IGNORECASE)
_SIMPLE_TAG = re.compile(r"""[a-z]+(?:\s++[-\w]++(?:=(?:"[^"]*+"|'[^']*+'|[^\s"'=<>`]++))?)*+\s*+/?>""", re.IGNORECASE)


def within_caps(html: str) -> bool:
    """Whether parsing, walking and sanitising this body is bounded. Linear in the body's length."""
    if len(html) > MAX_CHARACTERS:
        return False
    tags = html.count("<")
    if tags > MAX_TAGS or html.count("=") > MAX_EQUALS_SIGNS:
        return False
    if tags <= _FEW_TAGS and len(html) <= _SHORT:
        return True
    return (
        (tags <= MAX_OPTIONS or len(_OPTION.findall(html)) <= MAX_OPTIONS)
        and _most_attributes(html) <= MAX_ATTRIBUTES
        and _reopening_is_bounded(html, tags)
    )


def _most_attributes(html: str) -> int:
    """Return how many attributes the start tag with the most of them has."""
    return max((len(_EACH_ATTRIBUTE.findall(tag[1] or "")) for tag in _START_TAG.finditer(html)), default=0)


def _reopening_is_bounded(html: str, tags: int) -> bool:
    """Whether reopening formatting elements can make no more than so many elements.

    At most three that look alike are kept for reopening (the "Noah's Ark clause"), so different tags are
    counted, and one whose end is not plain to see counts as different from all.
    """
    alike: dict[str, int] = {}
    for piece in html.split("<"):
        if _FORMATTING.match(piece):
            simple = _SIMPLE_TAG.match(piece)
            signature = simple[0].lower() if simple else f"{len(alike)} {piece}"
            alike[signature] = min(alike.get(signature, 0) + 1, 3)
    elements = sum(alike.values()) * tags
    characters = sum(len(signature) * times for signature, times in alike.items()) * tags
    return elements <= MAX_REOPENED_ELEMENTS and characters <= MAX_REOPENED_CHARACTERS
