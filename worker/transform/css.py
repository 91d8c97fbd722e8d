"""The little of CSS that decides what a reader sees: declarations, and `<style>` rules with simple selectors.

CSS Syntax 3 for the grammar, CSS Cascade 4 §6 for which declaration wins.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# What text depends on.
TEXT_PROPERTIES = frozenset({"display", "float", "position", "text-transform", "visibility", "white-space"})

_COMMENT = re.compile(r"/\*[^*]*+(?:\*(?!/)[^*]*+)*(?:\*/|\Z)")  # no possessive group, see cutoff.py
_DECLARATION = re.compile(r"""((?:[^;"'(]|"[^"]*"|'[^']*'|\([^()]*\)|["'(])*);?""")
_ASCII_SPACES = re.compile(r"[ \t\n\r\f]+")
_SPACE = " \t\n\r\f"
_CACHED_CHARACTERS = 500
_IMPORTANT = re.compile(r"!\s*+important\Z", re.IGNORECASE)
# CSS Text 4 §3: `white-space` as two properties, which Chromium writes into what is copied. Said by the old names.
_COLLAPSE = {
    "collapse": "normal",
    "preserve": "pre-wrap",
    "preserve-breaks": "pre-line",
    "break-spaces": "break-spaces",
}
_WHITE_SPACE = {
    "wrap": "normal",
    "collapse": "normal",
    "preserve": "pre-wrap",
    "preserve wrap": "pre-wrap",
    "preserve nowrap": "pre",
    "nowrap preserve": "pre",
    "preserve-breaks": "pre-line",
}
_BRACE = re.compile(r"([{}])")
_SELECTOR = re.compile(r"(?P<tag>\*|[a-z][a-z0-9]*)?(?P<mark>[.#](?:[-\w]|[^\x00-\x7f])+)?", re.IGNORECASE)
_SCREEN = re.compile(r"\s*@media\s+(?:only\s+)?(?:all|screen)\s*", re.IGNORECASE)


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
    """Return the declarations of a `style` attribute or a rule's block in their order, nonsense left out."""
    return _remembered(style) if len(style) <= _CACHED_CHARACTERS else _read(style)


def _read(style: str) -> tuple[Declaration, ...]:
    found = []
    for text in _DECLARATION.findall(_COMMENT.sub("", style)):
        name, colon, value = text.partition(":")
        value = value.strip(_SPACE)
        bare = _IMPORTANT.sub("", value).rstrip(_SPACE)
        if colon and bare:
            found.append(_by_old_name(name.strip(_SPACE).lower(), bare.lower(), important=bare != value))
    return tuple(found)


def _by_old_name(name: str, value: str, *, important: bool) -> Declaration:
    if name == "white-space-collapse":
        return Declaration("white-space", _COLLAPSE.get(value, value), important)
    if name == "white-space":
        value = _WHITE_SPACE.get(" ".join(value.split()), value)
    return Declaration(name, value, important)


_remembered = lru_cache(maxsize=512)(_read)


@dataclass(slots=True)
class StyleSheet:
    """The rules of the `<style>` elements that name one tag, class or id, or a tag with a class or an id.

    Other selectors (combinators, pseudo-classes, attributes) match nothing here, and only `TEXT_PROPERTIES`
    are kept. `rules` maps a selector (`p`, `.note`, `p.note`, `#x`, `*`) to its declarations, each with its
    place in the sheet; `classes` are the names of the classes in them.
    """

    rules: dict[str, list[tuple[int, Declaration]]] = field(default_factory=dict)
    classes: set[str] = field(default_factory=set)
    size: int = 0

    def add(self, text: str) -> None:
        """Add one `<style>` element's text. `@media` blocks count if they are for `all` or `screen` alone."""
        for selectors, block in _rules(text):
            for selector in selectors.split(","):
                simple = _SELECTOR.fullmatch(selector.strip(_SPACE))
                if simple is None or not simple.group():
                    continue
                key = (simple["tag"] or "").lower() + (simple["mark"] or "")
                self._add(key.removeprefix("*") or "*", declarations(block))

    def _add(self, key: str, block: Iterable[Declaration]) -> None:
        known = {declaration.name: (place, declaration) for place, declaration in self.rules.get(key, ())}
        for declaration in block:
            if declaration.name not in TEXT_PROPERTIES:
                continue
            self.size += 1
            standing = known.get(declaration.name)
            if standing is None or declaration.important or not standing[1].important:
                known[declaration.name] = (self.size, declaration)
        self.rules[key] = list(known.values())
        self.classes.add(key.rpartition(".")[2])

    def matching(self, tag: str, attributes: Mapping[str, str | None]) -> list[Declaration]:
        """Return the declarations for an element, the weakest first (specificity, then order)."""
        names = _ASCII_SPACES.split(attributes.get("class") or "")
        marks = ["." + name for name in names if name in self.classes]
        identity = ["#" + (attributes.get("id") or "")]
        levels = (
            ["*"],
            [tag],
            marks,
            [tag + mark for mark in marks],
            identity,
            [tag + mark for mark in identity],
        )
        found: list[Declaration] = []
        for keys in levels:
            placed = [rule for key in keys for rule in self.rules.get(key, ())]
            found.extend(declaration for _, declaration in sorted(placed, key=lambda rule: rule[0]))
        return found


def _rules(text: str) -> Iterable[tuple[str, str]]:
    """Yield (selectors, block) of each rule that applies on a screen."""
    applies = [True]
    selectors = ""
    pieces = _BRACE.split(_COMMENT.sub("", text).replace("<!--", "").replace("-->", ""))
    for before, brace in zip(pieces[::2], pieces[1::2], strict=False):
        if brace == "{":
            selectors = before.rpartition(";")[2]
            at_rule = selectors.lstrip().startswith("@")
            applies.append(applies[-1] and (not at_rule or _SCREEN.fullmatch(selectors) is not None))
        else:
            if applies[-1] and selectors:
                yield selectors, before
            selectors = ""
            if len(applies) > 1:
                applies.pop()
    if applies[-1] and selectors:
        yield selectors, pieces[-1]  # closed by the sheet's end (CSS Syntax 3 §5.4.8)


def by_importance(weakest_first: Iterable[Declaration]) -> list[Declaration]:
    """Order declarations, given the weakest first, so that important ones come last (CSS Cascade 4 §6.1)."""
    return sorted(weakest_first, key=lambda declaration: declaration.important)
