"""Selectors of style sheets: which are read, and which lists of them browsers drop (Selectors 4 §3, §3.9, §17)."""

from __future__ import annotations

import re

_LETTER = r"[^\x00-\x7f]|\\[^\n]"
_NAME = rf"(?:--|-?(?:[a-z_]|{_LETTER}))(?:[-\w]|{_LETTER})*"
_CLASS_NAMES = """
    -webkit-any-link -webkit-autofill active any-link autofill checked default defined disabled empty enabled
    first-child first-of-type focus focus-visible focus-within fullscreen hover in-range indeterminate invalid
    last-child last-of-type link only-child only-of-type optional out-of-range placeholder-shown read-only read-write
    required root scope target user-invalid user-valid valid visited
"""
_FUNCTION_NAMES = "-webkit-any dir has is lang not nth-child nth-last-child nth-last-of-type nth-of-type where"
_EARLY_ELEMENT_NAMES = "after before first-letter first-line"
_ELEMENT_NAMES = "backdrop cue file-selector-button marker placeholder selection -webkit-[-a-z]+"


def _any(names: str) -> str:
    return "|".join(names.split())


# What is between parentheses is not looked at: no letter has a mistake there.
_PSEUDO = (
    rf"::?(?:{_any(_EARLY_ELEMENT_NAMES)})(?![-\w])|::(?:{_any(_ELEMENT_NAMES)})(?![-\w])"
    rf"|:(?:{_any(_CLASS_NAMES)})(?![-\w(])|:(?:{_any(_FUNCTION_NAMES)})\((?:[^()]|\([^()]*\))*\)"
)
_ATTRIBUTE = rf"""\[\s*{_NAME}\s*(?:[~|^$*]?=\s*(?:{_NAME}|"[^"]*"|'[^']*')\s*[is]?\s*)?\]"""
_MARKED = rf"(?:[.#]{_NAME}|{_ATTRIBUTE}|{_PSEUDO})"
_COMPOUND = rf"(?:(?:\*|{_NAME}){_MARKED}*|{_MARKED}+)"
_WHOLE = rf"{_COMPOUND}(?:(?:\s*[>+~]\s*|\s+){_COMPOUND})*"
_SELECTOR = re.compile(_WHOLE, re.IGNORECASE)
_LIST = re.compile(rf"\s*{_WHOLE}\s*(?:,\s*{_WHOLE}\s*)*", re.IGNORECASE)
# A tag, classes and ids: nothing of where an element stands, or of its other attributes.
_PLAIN = re.compile(r"(\*|[a-z][-a-z0-9]*)?((?:[.#](?:[-\w]|[^\x00-\x7f])+)*)", re.IGNORECASE)
_PART = re.compile(r"[.#]?[^.#]+")


def plain_selectors(selectors: str) -> list[str]:
    """Return those of a rule's selectors that name nothing but a tag, classes and ids: `p`, `.note`, `p.note#x`, `*`.

    None if one of them is no selector, for which browsers drop the rule. The name of a tag is in lower case.
    """
    if _LIST.fullmatch(selectors) is None:
        return []
    found = map(_PLAIN.fullmatch, _SELECTOR.findall(selectors))
    return [plain[1].lower() + plain[2] if plain[1] else plain[2] for plain in found if plain is not None]


def parts(selector: str) -> list[str]:
    """Return what a plain selector names: a tag or `*`, classes and ids with their `.` or `#`."""
    return _PART.findall(selector)


def specificity(selector: str) -> tuple[int, int, bool]:
    """Return how many ids, classes and tags a plain selector names (Selectors 4 §17)."""
    return selector.count("#"), selector.count("."), selector[0] not in "*.#"
