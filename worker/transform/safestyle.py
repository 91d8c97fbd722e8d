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
_EDGE_NAMES = """
    border border-bottom border-left border-right border-top border-width padding padding-bottom padding-left
    padding-right padding-top
"""
_PROPERTIES = frozenset(_PROPERTY_NAMES.split())
# Words, numbers, colours and font names; no other function and no escape, so no `url(` in any disguise.
_VALUE = re.compile(r"""(?:[-\w\s#.,%/'"+]|(?:rgb|hsl)a?\([\d\s.,%/]*\))+""")
_NEGATIVE = re.compile(r"-[\d.]")
# Lengths that nobody writes in a letter: four digits, three of a large unit, an exponent.
_FAR = re.compile(r"(?<![#\w.])(?:\d{4}|\d{3}[\d.]*(?!px|pt)[a-z]|[\d.]+e[-+]?\d)")
_OVER_FULL = re.compile(r"(?!100%)\d{3}[\d.]*%")
# 100 px, or what may come to more: 3 em of large glyphs, 1 in, 1 vw.
_LARGE = (
    r"(?<![#\w.])(?:\d{3}[\d.]*(?:px|pt)|[3-9]\d{2}[\d.]*%|\d{2}[\d.]*(?!px|pt)[a-z]|[3-9][\d.]*(?:r?em|ex|ch|ic|cap)"
    r"|[1-9][\d.]*(?:in|cm|[dls]?v[a-z]+|r?lh))"
)
_LARGE_GLYPHS = re.compile(_LARGE)
# Around inline text, padding and borders are drawn over the lines above and below.
_LARGE_EDGES = re.compile(_LARGE + r"|[2-9]\d[\d.]*%|\d{3}[\d.]*%")
_LESS_THAN_A_LINE = re.compile(r"\+?(?:0*(?:\.\d*)?(?:[a-z]+|%)?|\d?\d(?:\.\d*)?%|\d(?:\.\d*)?(?:px|pt|mm|q|pc|ex|ch))")
_LINE_OF_FONT = re.compile(r"/\s*([^\s,/]+)")
_OVERFLOWS = {
    "font": _LARGE_GLYPHS,
    "font-size": _LARGE_GLYPHS,
    "line-height": _LESS_THAN_A_LINE,
    "margin": _OVER_FULL,
    "margin-left": _OVER_FULL,
    "margin-right": _OVER_FULL,
    **dict.fromkeys(_EDGE_NAMES.split(), _LARGE_EDGES),
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
    if name == "font" and any(map(_LESS_THAN_A_LINE.fullmatch, _LINE_OF_FONT.findall(value))):
        return True
    return _OVERFLOWS[name].search(value) is not None


def _in_the_flow(declaration: Declaration) -> Declaration:
    """Float what was positioned: taken out of its line as before, but not over its surroundings."""
    if declaration.name == "position":
        return replace(declaration, name="float", value="left")
    if declaration.value == "-webkit-box":  # a block as long as its lines are clamped, which they are not any more
        return replace(declaration, value="block")
    return declaration
