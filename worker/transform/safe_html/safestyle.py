"""Which declarations of a `style` attribute safe HTML keeps: what fetches nothing and stays in its box."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

from worker.transform.text.css import Declaration, declarations

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
_NUMBER = re.compile(r"(?<![#\w.])(\d+\.?\d*|\.\d+)([a-z]+|%|)")
_COLOUR = re.compile(r"(?:rgb|hsl)a?\([^()]*\)")
# From where on glyphs, or padding and borders around a part of a line, count as large: some 100 px. So does anything
# in a unit that is not named. In old documents no unit is px.
_LARGE = {"": 100, "px": 100, "pt": 100, "pc": 6, "mm": 10, "cm": 1, "in": 1, "em": 3, "rem": 3, "ex": 3, "ch": 3}
_LARGE_GLYPHS = _LARGE | {"%": 300}
_LARGE_EDGES = _LARGE | {"%": 20}
_LARGE_IN = {
    "font": _LARGE_GLYPHS | {"": 1_000},  # a weight
    "font-size": _LARGE_GLYPHS,
    **dict.fromkeys(_EDGE_NAMES.split(), _LARGE_EDGES),
}
_WITHIN_WIDTH = frozenset({"margin", "margin-left", "margin-right", "text-indent", "width"})
# A factor. What has a unit stays as high where glyphs grow, and they would be drawn over other lines.
_LINE_HEIGHT = re.compile(r"[-a-z]+|[1-9]\d?(?:\.\d+)?")
_LINE_HEIGHT_OF_FONT = re.compile(r"/\s*([^\s,/]*)")
_SIZED = _WITHIN_WIDTH | _LARGE_IN.keys() | {"line-height"}
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
    return name not in _SIZED or not _overflows(name, value)


def _overflows(name: str, value: str) -> bool:
    """Whether glyphs or boxes of this size would be drawn over their surroundings."""
    if name == "line-height":
        return _LINE_HEIGHT.fullmatch(value) is None
    if name == "font" and not all(map(_LINE_HEIGHT.fullmatch, _LINE_HEIGHT_OF_FONT.findall(value))):
        return True
    if name in _WITHIN_WIDTH:
        return _OVER_FULL.search(value) is not None
    large, numbers = _LARGE_IN[name], _NUMBER.findall(_COLOUR.sub("", value))
    return any(float(number) >= large.get(unit, 0) for number, unit in numbers)


def _in_the_flow(declaration: Declaration) -> Declaration:
    """Float what was positioned: taken out of its line as before, but not over its surroundings."""
    if declaration.name == "position":
        return replace(declaration, name="float", value="left")
    if declaration.name == "display" and declaration.value == "-webkit-box":
        # A block where its lines are clamped, as they no longer are.
        return replace(declaration, value="block")
    return declaration
