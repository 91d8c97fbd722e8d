"""How much markup one message may hold before it is read as text only.

Parsers take time that grows with the square of some things: nesting, attributes of one tag, options,
references, and formatting elements left open, which are opened again in every paragraph (HTML standard
§13.2.4.3). These caps bound text and safe HTML of one message to about 50 ms; a clinic's letter stays far
below them. Everything is counted on the body as it was sent, in linear time.
"""

from __future__ import annotations

import re
from functools import lru_cache

from worker.transform.marks import VOID
from worker.transform.parse import parse_to_write, well_formed

MAX_CHARACTERS = 256 * 1024
MAX_TAGS = 2_500
MAX_DEPTH = 500  # deeper than 512 neither Chromium nor turbohtml nests
MAX_EQUALS_SIGNS = 4_000
MAX_AMPERSANDS = 16_000
MAX_COLONS = 10_000  # declarations in styles
MAX_PARENTHESES = 10_000
MAX_OPTIONS = 2_000
MAX_ATTRIBUTES = 2_500  # of one tag
MAX_ATTRIBUTE_PAIRS = MAX_ATTRIBUTES**2  # each attribute is compared with those before it in its tag
MAX_SELECTORS = 1_000  # in style sheets
MAX_SELECTOR_MATCHES = 500_000
MAX_REOPENED_ELEMENTS = 60_000
MAX_REOPENED_CHARACTERS = 2_000_000
# Less than this cannot hold anyone.
_SHORT = 1_000
_FEW_TAGS = 200
_MODERATE = 8 * 1024

_OPTION = re.compile(r"<option", re.IGNORECASE)
_STYLE = re.compile(r"<style", re.IGNORECASE)
_TAG_START = re.compile(r"</?[a-z]", re.IGNORECASE)
# No group is possessive: before Python 3.11.5 one that fails has moved on all the same.
_ATTRIBUTE = r"""\s++[^\s"'<>/=]++(?:\s*+=\s*+(?:"[^"<>]*+"|'[^'<>]*+'|[^\s"'<>=`]++))?"""
# A tag that ends at the next `>` however it is read. What follows any other may be part of it.
_COMPLETE_TAG = re.compile(rf"</?[a-z][^\s\"'<>/=]*+(?:{_ATTRIBUTE})*\s*+/?", re.IGNORECASE)
_EACH_ATTRIBUTE = re.compile(_ATTRIBUTE)
# `a` and `nobr` are not among them: another one closes the one before.
_FORMATTING = re.compile(r"(?:b|big|code|em|font|i|s|small|strike|strong|tt|u)(?=[\s/>])", re.IGNORECASE)
_SIMPLE_TAG = re.compile(r"""[a-z]+(?:\s++[-\w]++(?:=(?:"[^"]*+"|'[^']*+'|[^\s"'=<>`]++))?)*\s*+/?>""", re.IGNORECASE)


def within_caps(html: str) -> bool:
    """Whether parsing, walking and sanitising this body is bounded. Linear in the body's length."""
    if len(html) <= _SHORT:
        return True
    if len(html) > MAX_CHARACTERS:
        return False
    tags = html.count("<")
    if tags > MAX_TAGS or html.count("=") > MAX_EQUALS_SIGNS:
        return False
    return (tags <= _FEW_TAGS and len(html) <= _MODERATE) or _is_bounded(html)


@lru_cache(maxsize=1)  # asked for the text and for the HTML of one message
def _is_bounded(html: str) -> bool:
    tags = html.count("<")
    return (
        html.count("&") <= MAX_AMPERSANDS
        and html.count(":") <= MAX_COLONS
        and html.count("(") <= MAX_PARENTHESES
        and (tags <= MAX_OPTIONS or len(_OPTION.findall(html)) <= MAX_OPTIONS)
        and _selectors_are_bounded(html, tags)
        and _attributes_are_bounded(html)
        and _reopening_is_bounded(html, tags)
        and _tree_is_bounded(html)
    )


def _selectors_are_bounded(html: str, tags: int) -> bool:
    """Whether style sheets cannot have too many rules, each of which is held against every tag."""
    start = _STYLE.search(html)
    if start is None:
        return True
    end = html.lower().rfind("</style")
    sheets = html[start.start() : end if end >= 0 else None]
    selectors = sheets.count("{") + sheets.count(",")
    return selectors <= MAX_SELECTORS and selectors * tags <= MAX_SELECTOR_MATCHES


def _attributes_are_bounded(html: str) -> bool:
    """Whether the tags cannot have too many attributes, however quotes in them are read."""
    pairs = 0
    names = 0
    is_open = False
    for part in html.split(">"):
        if is_open:
            names += _names(part)
        else:
            start = _TAG_START.search(part)
            if start is None:
                continue
            pairs += names**2
            tag = part[start.start() :]
            is_open = _COMPLETE_TAG.fullmatch(tag) is None
            names = _names(tag) if is_open or len(tag) < MAX_ATTRIBUTES else len(_EACH_ATTRIBUTE.findall(tag))
        if pairs + names**2 > MAX_ATTRIBUTE_PAIRS:
            return False
    return True


def _names(text: str) -> int:
    """Return how many attributes a tokenizer can find in a text at most (HTML standard §13.2.5.32)."""
    return len(text.split()) + text.count("/") + text.count("=")


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


def _tree_is_bounded(html: str) -> bool:
    """Whether the tree is not too large nor too deep, by a parser that takes linear time."""
    tags = parse_to_write(well_formed(html)).inner_html.split("<")[1:]
    if len(tags) > 2 * MAX_TAGS:
        return False
    depth = 0
    for tag in tags:
        if tag.startswith("/"):
            depth -= 1
        elif tag.partition(">")[0].partition(" ")[0] not in VOID:
            depth += 1
            if depth > MAX_DEPTH:
                return False
    return True
