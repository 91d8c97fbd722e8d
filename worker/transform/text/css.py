"""Declarations of CSS, in `style` attributes and rules: CSS Syntax 3 for the grammar, CSS Cascade 4 §6 for which wins.

A plain `style` attribute, as nearly all are, is split at its semicolons. Anything else is parsed by tinycss2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import tinycss2

if TYPE_CHECKING:
    from collections.abc import Iterable

# What text depends on.
TEXT_PROPERTIES = frozenset({"display", "float", "position", "text-transform", "visibility", "white-space"})

_SPACE = " \t\n\r\f"
# No escape, comment, block or at-rule, and nothing that is left open. No possessive group, see cutoff.py.
_IN_PARENTHESES = r"""\((?:[^"'()\[\]{}\\/]|/(?!\*))*\)"""
_STRING = r""""[^"\\\n\r\f]*"|'[^'\\\n\r\f]*'"""
_PIECE = rf"""[^"'()\[\]{{}}\\/@;]|/(?!\*)|{_STRING}|{_IN_PARENTHESES}"""
_PLAIN = re.compile(rf"(?:{_PIECE}|;)*")
_DECLARATION = re.compile(rf"((?:{_PIECE})+);?")
_CACHED_CHARACTERS = 500
_IMPORTANT = re.compile(r"!\s*+important\Z", re.IGNORECASE)
_PICTURE = re.compile(r"""(data:)[^"'()\\]{1000,}""", re.IGNORECASE)
# CSS Text 4 §3: `white-space` is short for two properties. What Chromium copies from a page has them.
_WHITE_SPACE = {
    "white-space": {
        "collapse": "normal",
        "preserve": "pre-wrap",
        "preserve wrap": "pre-wrap",
        "preserve nowrap": "pre",
        "nowrap preserve": "pre",
        "preserve-breaks": "pre-line",
        "wrap": "normal",
    },
    "white-space-collapse": {
        "collapse": "normal",
        "preserve": "pre-wrap",
        "preserve-breaks": "pre-line",
        **{same: same for same in ("break-spaces", "inherit", "initial", "revert", "unset")},
    },
}


@dataclass(frozen=True, slots=True)
class Declaration:
    """One `name: value`, both lower-cased and trimmed, the value without its `!important`."""

    name: str
    value: str
    important: bool

    def __str__(self) -> str:
        """Return it as it is written in a style sheet."""
        return f"{self.name}:{self.value}{' !important' if self.important else ''}"


def declarations(style: str) -> tuple[Declaration, ...]:
    """Return the declarations of a `style` attribute in their order, without invalid ones."""
    return _remembered(style) if len(style) <= _CACHED_CHARACTERS else _read(style)


def _read(style: str) -> tuple[Declaration, ...]:
    if _PLAIN.fullmatch(style) is None:
        return declarations_of(tinycss2.parse_blocks_contents(without_pictures(style)))
    found = []
    for text in _DECLARATION.findall(style):
        name, colon, value = text.partition(":")
        value = value.strip(_SPACE)
        bare = _IMPORTANT.sub("", value).rstrip(_SPACE)
        if colon and bare:
            found.append(_declaration(name.strip(_SPACE), bare, important=bare != value))
    return tuple(found)


_remembered = lru_cache(maxsize=512)(_read)


def declarations_of(nodes: Iterable[Any]) -> tuple[Declaration, ...]:
    """Return the declarations among what tinycss2 found in a block."""
    return tuple(
        _declaration(node.name, written(node.value), important=node.important)
        for node in nodes
        if node.type == "declaration"
    )


def written(tokens: Iterable[Any]) -> str:
    """Return component values as they are written, a space for a comment. What is nested too deep is left out."""
    try:
        return "".join(" " if token.type == "comment" else token.serialize() for token in tokens).strip(_SPACE)
    except RecursionError:
        return ""


def without_pictures(css: str) -> str:
    """Return CSS without the data of long `data:` URLs, which nothing here reads."""
    return _PICTURE.sub(r"\1", css)


def _declaration(name: str, value: str, *, important: bool) -> Declaration:
    declaration = Declaration(name.lower(), value.lower(), important)
    if declaration.name not in _WHITE_SPACE:
        return declaration
    values = _WHITE_SPACE[declaration.name]
    short = values.get(" ".join(declaration.value.split()))
    return declaration if short is None else replace(declaration, name="white-space", value=short)


def by_importance(weakest_first: Iterable[Declaration]) -> list[Declaration]:
    """Order declarations, given the weakest first, so that important ones come last (CSS Cascade 4 §6.1)."""
    return sorted(weakest_first, key=lambda declaration: declaration.important)
