"""The little of CSS that decides what a reader sees: declarations, and `<style>` rules with plain selectors.

CSS Syntax 3 for the grammar, CSS Cascade 4 §6 for which declaration wins.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from worker.transform.selectors import parts, plain_selectors, specificity

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
_BRACE = re.compile(r"([{}])")
_AT_MEDIA = re.compile(r"\s*@media(?![-\w])", re.IGNORECASE)
_SCREEN = re.compile(r"\s*(?:only\s+)?(?:all|screen)\s*", re.IGNORECASE)


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
            declaration = Declaration(name.strip(_SPACE).lower(), bare.lower(), bare != value)
            found.append(_white_space(declaration) if declaration.name in _WHITE_SPACE else declaration)
    return tuple(found)


def _white_space(declaration: Declaration) -> Declaration:
    """Return a declaration of how white space collapses as the `white-space` that it comes to."""
    values = _WHITE_SPACE[declaration.name]
    value = values.get(" ".join(declaration.value.split()))
    return declaration if value is None else replace(declaration, name="white-space", value=value)


_remembered = lru_cache(maxsize=512)(_read)


class Rule(NamedTuple):
    """A declaration for what a selector matches. The weakest is the least; no place is that of two."""

    specificity: tuple[int, int, bool]
    place: int
    declaration: Declaration


@dataclass(slots=True)
class StyleSheet:
    """The rules of the `<style>` elements whose selectors name nothing but a tag, classes and ids.

    Other selectors (combinators, pseudo-classes, attributes) match nothing here, and only `TEXT_PROPERTIES`
    are kept. `rules` are by selector (`p`, `.note`, `p.note`, `#x`, `*`); `classes` are the names of the classes in
    them, and `compounds` the selectors that name several classes and ids, each with what it names.
    """

    MAX_COMPOUNDS = 20  # of a body, as each is held against every element; letters have a few

    rules: dict[str, list[Rule]] = field(default_factory=dict)
    classes: set[str] = field(default_factory=set)
    compounds: dict[str, set[str]] = field(default_factory=dict)
    size: int = 0

    def add(self, text: str) -> None:
        """Add one `<style>` element's text. `@media` blocks count if they are for `all` or `screen` alone."""
        for selectors, block in _rules(text):
            about_text = [one for one in declarations(block) if one.name in TEXT_PROPERTIES]
            for selector in plain_selectors(selectors) if about_text else ():
                self._add(selector, about_text)

    def _add(self, selector: str, block: Iterable[Declaration]) -> None:
        key = selector.removeprefix("*") or "*"
        weight, named = specificity(key), parts(key)
        if weight[0] + weight[1] > 1:
            if len(self.compounds) >= self.MAX_COMPOUNDS:
                return
            self.compounds[key] = set(named)
        self.classes.update(part[1:] for part in named if part.startswith("."))
        known = {rule.declaration.name: rule for rule in self.rules.get(key, ())}
        for declaration in block:
            self.size += 1
            standing = known.get(declaration.name)
            if standing is None or declaration.important or not standing.declaration.important:
                known[declaration.name] = Rule(weight, self.size, declaration)
        self.rules[key] = list(known.values())

    def matching(self, tag: str, attributes: Mapping[str, str | None]) -> list[Declaration]:
        """Return the declarations for an element, the weakest first (specificity, then order)."""
        names = _ASCII_SPACES.split(attributes.get("class") or "")
        marks = ["." + name for name in names if name in self.classes] + ["#" + (attributes.get("id") or "")]
        keys = {"*", tag, *marks, *(tag + mark for mark in marks)}
        if self.compounds:
            has = {tag, *marks}
            keys.update(key for key, named in self.compounds.items() if named <= has)
        found = [rule for key in keys for rule in self.rules.get(key, ())]
        return [rule.declaration for rule in sorted(found)]


def _rules(text: str) -> Iterable[tuple[str, str]]:
    """Yield (selectors, block) of each rule that applies on a screen."""
    applies = [True]
    selectors = ""
    pieces = _BRACE.split(_COMMENT.sub("", text).replace("<!--", "").replace("-->", ""))
    for before, brace in zip(pieces[::2], pieces[1::2], strict=False):
        if brace == "{":
            selectors = before.rpartition(";")[2]
            at_rule = selectors.lstrip().startswith("@")
            applies.append(applies[-1] and (not at_rule or _is_media_of_a_screen(selectors)))
        else:
            if applies[-1] and selectors:
                yield selectors, before
            selectors = ""
            if len(applies) > 1:
                applies.pop()
    if applies[-1] and selectors:
        yield selectors, pieces[-1]  # closed by the sheet's end (CSS Syntax 3 §5.4.8)


def _is_media_of_a_screen(at_rule: str) -> bool:
    media = _AT_MEDIA.match(at_rule)
    return media is not None and is_for_a_screen(at_rule[media.end() :])


def is_for_a_screen(media: str | None) -> bool:
    """Whether a list of media names a screen, or nothing (Media Queries 4 §2.1). One that asks for more does not."""
    listed = (media or "").strip(_SPACE) or "all"
    return any(map(_SCREEN.fullmatch, listed.split(",")))


def by_importance(weakest_first: Iterable[Declaration]) -> list[Declaration]:
    """Order declarations, given the weakest first, so that important ones come last (CSS Cascade 4 §6.1)."""
    return sorted(weakest_first, key=lambda declaration: declaration.important)
