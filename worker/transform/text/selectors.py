"""Selectors of style sheets: their specificity, and which elements they match by lexbor (Selectors 4)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from worker.transform.text.conditions import Tokens, split
from worker.transform.text.css import written

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

_MAX_SELECTOR_CHARACTERS = 500
_MAX_DEPTH = 10  # of selectors in selectors
# What lexbor takes for a mistake, and browsers for a selector: it matches nothing here.
_UNMATCHED_NAMES = """
    -webkit-any -webkit-any-link -webkit-autofill after autofill backdrop before cue defined dir enabled
    file-selector-button first-letter first-line focus-visible focus-within host in-range indeterminate lang marker
    out-of-range placeholder placeholder-shown popover-open scope selection state target target-text user-invalid
    user-valid visited
"""
_UNMATCHED = frozenset(_UNMATCHED_NAMES.split())
# A tag, classes and ids that cannot be those of the page around.
_PLAIN = re.compile(r"(?!(?:body|div|html)\Z)(?:[a-zA-Z][a-zA-Z0-9]*)?(?:[.#]-?[_a-zA-Z][-\w]*)*(?<=.)", re.ASCII)

Weight = tuple[int, int, int]
"""How many ids, classes and tags a selector names (Selectors 4 §17)."""


class Selector(NamedTuple):
    """Compound selectors, each with the combinator before it; none if nothing is matched."""

    steps: tuple[tuple[str, str], ...]
    weight: Weight

    @property
    def is_plain(self) -> bool:
        """Whether it is a tag, classes and ids that cannot be those of the page around."""
        return len(self.steps) == 1 and _PLAIN.fullmatch(self.steps[0][1]) is not None

    def matched(self, tree: LexborHTMLParser) -> list[LexborNode]:
        """Return the elements that it matches. Raises `SelectolaxError` for what is no selector.

        Step by step, because lexbor by itself would try every combination, and there may be very many.
        """
        found: list[LexborNode] = []
        for combinator, compound in self.steps:
            known = {node.mem_id: True for node in found}
            found = [node for node in tree.css(compound) if not combinator or _reaches(node, combinator, known)]
        return found


def read_selector(tokens: Tokens) -> Selector:
    """Return the selector that these tokens are, without the commas around it."""
    weight, is_unmatched = _weighed(tokens, 0)
    if is_unmatched:
        return Selector((), weight)
    return Selector(tuple((combinator, _compound(compound)) for combinator, compound in _steps(tokens)), weight)


def _compound(tokens: Tokens) -> str:
    """Return a compound selector; empty if a hash in it is not an id."""
    is_wrong = any(token.type == "hash" and not token.is_identifier for token in tokens)
    text = "" if is_wrong else written(tokens)
    return text if len(text) <= _MAX_SELECTOR_CHARACTERS else ""


def _steps(tokens: Tokens) -> list[tuple[str, Tokens]]:
    """Return the compound selectors, each with the combinator before it."""
    steps: list[tuple[str, Tokens]] = [("", [])]
    for token in tokens:
        if token.type == "whitespace":
            if steps[-1][1]:
                steps.append((" ", []))
        elif token.type == "literal" and token.value in ">+~":
            if steps[-1][0] == " " and not steps[-1][1]:
                steps.pop()
            steps.append((token.value, []))
        elif token.type != "comment":
            steps[-1][1].append(token)
    return steps[:-1] if steps[-1][0] == " " and not steps[-1][1] else steps


def _weighed(tokens: Tokens, depth: int) -> tuple[Weight, bool]:
    """Return the specificity of one selector, and whether it matches nothing."""
    ids = classes = tags = colons = 0
    is_unmatched = False
    before: Any = None
    for token in tokens:
        if colons and token.type in {"ident", "function"}:
            name = token.lower_value if token.type == "ident" else token.lower_name
            is_unmatched |= name in _UNMATCHED or name.startswith("-webkit-")
            if token.type == "function" and name in {"is", "not", "has", "where"}:
                is_unmatched |= depth >= _MAX_DEPTH or _may_be_slow(name, token.arguments, depth)
                inner = (0, 0, 0) if name == "where" or is_unmatched else _heaviest(token.arguments, depth)
                ids, classes, tags = ids + inner[0], classes + inner[1], tags + inner[2]
            elif colons > 1:
                tags += 1
            else:
                classes += 1
        elif token.type == "hash":
            ids += 1
        elif token.type == "[] block" or (token.type == "ident" and before == "."):
            classes += 1
        elif token.type == "ident":
            tags += 1
        colons = colons + 1 if token == ":" else 0  # noqa: S105  a token of CSS
        before = token
    return (ids, classes, tags), is_unmatched


def _may_be_slow(name: str, arguments: Tokens, depth: int) -> bool:
    """Whether lexbor might try very many combinations to match what is in parentheses."""
    compounds = (sum(1 for _, compound in _steps(part) if compound) for part in split(arguments, keep_spaces=True))
    return max(compounds) > (1 if name == "has" else 2) or (name == "has" and depth > 0)


def _heaviest(arguments: Tokens, depth: int) -> Weight:
    return max(_weighed(part, depth + 1)[0] for part in split(arguments, keep_spaces=True))


def _reaches(node: LexborNode, combinator: str, known: dict[int, bool]) -> bool:
    """Whether an element stands where the combinator says to one that is `known` to be matched (Selectors 4 §15).

    Elements passed on the way become known as well, so that none is visited twice.
    """
    around = _next(node, combinator)
    if combinator in ">+":
        return around is not None and around.mem_id in known
    passed = []
    while around is not None and around.mem_id not in known:
        passed.append(around.mem_id)
        around = _next(around, combinator)
    found = around is not None and known[around.mem_id]
    known.update(dict.fromkeys(passed, found))
    return found


def _next(node: LexborNode, combinator: str) -> LexborNode | None:
    """Return the parent of an element, or the element before it."""
    if combinator in " >":
        return node.parent
    before = node.prev
    while before is not None and not before.is_element_node:
        before = before.prev
    return before
