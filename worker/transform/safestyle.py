"""Which declarations of a `style` attribute safe HTML keeps: what fetches nothing and stays in its box."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

from worker.transform.css import Declaration, declarations

_PROPERTY_NAMES = """
    background background-color border border-bottom border-collapse border-color border-left
    border-right border-spacing border-style border-top border-width clear color display float font
    font-family font-size font-style font-variant font-weight line-height list-style list-style-type
    margin margin-bottom margin-left margin-right margin-top padding padding-bottom padding-left
    padding-right padding-top text-align text-decoration text-indent text-transform
    vertical-align visibility white-space width
"""
_PROPERTIES = frozenset(_PROPERTY_NAMES.split())
# Words, numbers, colours and font names; no other function and no escape, so no `url(` in any disguise.
_VALUE = re.compile(r"""(?:[-\w\s#.,%/'"+]|(?:rgb|hsl)a?\([\d\s.,%/]*\))+""")
_NEGATIVE = re.compile(r"-[\d.]")
# Lengths that nobody writes in a letter: four digits, three of a large unit, an exponent.
_FAR = re.compile(r"(?<![#\w.])(?:\d{4}|\d{3}[\d.]*(?!px|pt)[a-z]|[\d.]+e[-+]?\d)")
_OVER_FULL = re.compile(r"(?!100%)\d{3}[\d.]*%")
_LARGE_GLYPHS = re.compile(r"(?<![#\w.])\d{3}[\d.]*(?:px|pt)|\d{2}[\d.]*(?!px|pt)[a-z]")
_LESS_THAN_A_LINE = re.compile(r"0*(?:\.\d*)?(?:[a-z]+|%)?|\d?\d(?:\.\d*)?%")
_OVERFLOWS = {
    "font": _LARGE_GLYPHS,
    "font-size": _LARGE_GLYPHS,
    "line-height": _LESS_THAN_A_LINE,
    "margin": _OVER_FULL,
    "margin-left": _OVER_FULL,
    "margin-right": _OVER_FULL,
    "padding": _OVER_FULL,
    "padding-left": _OVER_FULL,
    "padding-right": _OVER_FULL,
    "text-indent": _OVER_FULL,
    "width": _OVER_FULL,
}
_CACHED_CHARACTERS = 500


def safe_style(style: str) -> str | None:
    """Return the allowed declarations of a `style` attribute, or None if there are none."""
    return _remembered(style) if len(style) <= _CACHED_CHARACTERS else _filtered(style)


def _filtered(style: str) -> str | None:
    kept = (_in_the_flow(declaration) for declaration in declarations(style) if _is_allowed(declaration))
    return ";".join(str(declaration) for declaration in kept) or None


_remembered = lru_cache(maxsize=512)(_filtered)


def _is_allowed(declaration: Declaration) -> bool:
    name, value = declaration.name, declaration.value
    if name == "position":
        return value in {"absolute", "fixed"}
    if name not in _PROPERTIES or _VALUE.fullmatch(value) is None:
        return False
    if _NEGATIVE.search(value) or _FAR.search(value):
        return False
    return not (name in _OVERFLOWS and _overflows(name, value))


def _overflows(name: str, value: str) -> bool:
    """Whether glyphs or boxes of this size would be drawn over their surroundings."""
    if name == "line-height":
        return _LESS_THAN_A_LINE.fullmatch(value) is not None
    return _OVERFLOWS[name].search(value) is not None


def _in_the_flow(declaration: Declaration) -> Declaration:
    """Float what was positioned: taken out of its line as before, but not over its surroundings."""
    if declaration.name == "position":
        return replace(declaration, name="float", value="left")
    return declaration
