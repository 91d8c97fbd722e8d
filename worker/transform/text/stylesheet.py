"""`<style>` elements of a body: tinycss2 reads their rules, lexbor finds what these match.

Selectors 4, CSS Cascade 4 §6. Only bodies with rules that text depends on take time for this, and less if the
rules name only tags, classes and ids, as most do.
"""

from __future__ import annotations

import re
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

import tinycss2
from selectolax.lexbor import SelectolaxError

from worker.transform.text.conditions import is_for_a_screen, is_supported, media_hold, split
from worker.transform.text.css import TEXT_PROPERTIES, Declaration, declarations_of, without_pictures
from worker.transform.text.parse import parse_in_page, parse_to_write
from worker.transform.text.selectors import Selector, Weight, read_selector
from worker.transform.text.style import ROOT, Style, compute, with_display
from worker.transform.text.user_agent_css import ITEM_CONTAINERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from selectolax.lexbor import LexborHTMLParser, LexborNode
    from turbohtml import Element

_TEXT_PROPERTIES = [name.encode() for name in TEXT_PROPERTIES]
_CACHED_CHARACTERS = 4_000  # what a style sheet comes to is remembered up to this length
_MAX_DEPTH = 10  # of conditions in conditions
_PAGE = frozenset({"html", "head", "body"})
_WORDS = re.compile(r"[a-z -]+")
_PRE = re.compile(r"(<(?:pre|listing|textarea)(?: [^<>]*)?>)(?=\n)")  # whose first line feed a parser drops


class Rule(NamedTuple):
    """Declarations that text depends on, for what one of the selectors matches."""

    selectors: tuple[Selector, ...]
    declarations: tuple[Declaration, ...]


def has_rules_about_text(html: str) -> bool:
    """Whether the body may hold a `<style>` element with a rule that text depends on."""
    octets = html.encode(errors="replace").lower()
    start = octets.find(b"<style")
    if start < 0:
        return False
    end = octets.rfind(b"</style", start)
    sheets = octets[start:end] if end > 0 else octets[start:]
    return any(name in sheets for name in _TEXT_PROPERTIES)


class StyleSheet:
    """What the `<style>` elements of a tree say of its elements."""

    def __init__(self, tree: LexborHTMLParser) -> None:
        self._found: dict[int, list[tuple[Weight, int, tuple[Declaration, ...]]]] = {}
        self.matched: dict[int, LexborNode] = {}
        sheets = [element.text(deep=True) for element in tree.css("style") if _applies(element)]
        self.is_plain = True
        for place, rule in enumerate(rule for sheet in sheets for rule in _rules(sheet)):
            self.is_plain &= all(selector.is_plain for selector in rule.selectors)
            self._match(tree, rule, place)

    def _match(self, tree: LexborHTMLParser, rule: Rule, place: int) -> None:
        try:
            found = [(selector.matched(tree), selector.weight) for selector in rule.selectors]
        except SelectolaxError:
            return  # what is no selector makes the list invalid (Selectors 4 §3.9)
        for nodes, weight in found:
            for node in nodes:
                key = node.mem_id
                self.matched[key] = node
                self._found.setdefault(key, []).append((weight, place, rule.declarations))

    def declared(self, node: LexborNode) -> list[Declaration]:
        """Return the declarations for an element, the weakest first (specificity, then order)."""
        found = self._found.get(node.mem_id, ())
        return [one for _, _, block in sorted(found, key=lambda rule: rule[:2]) for one in block]

    def style_in_page(self, box: LexborNode) -> Style:
        """Return the style of the block that a body stands in: rules may say something of it and of the page."""
        around: list[LexborNode] = []
        node: LexborNode | None = box
        while node is not None and node.is_element_node:
            around.append(node)
            node = node.parent
        style, is_hidden = ROOT, False
        for element in reversed(around):
            style = compute(element.tag or "", {}, style, self.declared(element))
            is_hidden |= style.display == "none"
        return with_display(style, "none") if is_hidden else style


def with_rules_inlined(html: str) -> str:
    """Return a body with its rules about text in `style` attributes, for a caller that drops `<style>`."""
    plain = with_plain_rules_applied(html)
    if plain is not None:
        return plain.inner_html
    page, box = parse_in_page(html)
    sheet = StyleSheet(page)
    root = sheet.style_in_page(box)
    for node in sheet.matched.values():
        if node.tag not in _PAGE:
            node.attrs["style"] = as_attribute(sheet.declared(node), node.attributes.get("style"))
    if root.display == "none":
        return escape(box.text(deep=True))  # as `innerText` gives it
    body = _PRE.sub(r"\1\n", box.inner_html or "")
    return f'<div style="{_inherited(root)}">{body}</div>' if root != ROOT else body


def _applied(html: str) -> Element | None:
    tree = parse_to_write(html)
    tree.remove("template")
    listed = _rules_of(tree)
    if not all(selector.is_plain for rule in listed for selector in rule.selectors):
        return None
    rules = [
        (selector.weight, place, selector.steps[0][1], block)
        for place, (selectors, block) in enumerate(listed)
        for selector in selectors
    ]
    for element in tree.select(",".join(selector for _, _, selector, _ in rules)) if rules else ():
        found = sorted(rule[:2] + rule[3:] for rule in rules if element.matches(rule[2]))
        declared = [one for _, _, block in found for one in block]
        element.attrs["style"] = as_attribute(declared, element.attr("style"))
    return tree


# A page is read twice: first all texts, then all safe HTML.
_remembered_tree = lru_cache(maxsize=64)(_applied)


def with_plain_rules_applied(html: str) -> Element | None:
    """Return the tree of a well-formed body, its rules in `style` attributes, or None if one is not plain.

    Plain rules match nothing of the page around. What is in a `<template>` is left out: it is not shown, and neither
    its rules nor those around it apply across its edge. The tree is remembered, so nobody may change it.
    """
    return _remembered_tree(html) if len(html) <= _CACHED_CHARACTERS else _applied(html)


def _rules_of(tree: Element) -> list[Rule]:
    sheets = [one for one in tree.select("style") if _is_for_us(one.attr("type"), one.attr("media"))]
    return [rule for sheet in sheets for rule in _rules(sheet.text)]


def as_attribute(by_rules: Iterable[Declaration], style: str | None) -> str:
    """Return a `style` attribute with what rules declare, the weakest first, and the one that the element has."""
    return ";".join([*(str(one) for one in by_rules if _WORDS.fullmatch(one.value)), style or ""])


def _inherited(style: Style) -> str:
    shown_as = f"display:{style.display};" if style.display in ITEM_CONTAINERS else ""
    return (
        f"{shown_as}visibility:{style.visibility};white-space:{style.white_space};text-transform:{style.text_transform}"
    )


def _applies(element: LexborNode) -> bool:
    """Whether a `<style>` element is one of CSS for a screen (HTML standard §4.2.6)."""
    return _is_for_us(element.attributes.get("type"), element.attributes.get("media"))


def _is_for_us(type_: str | None, media: str | None) -> bool:
    return (type_ or "").lower() in {"", "text/css"} and is_for_a_screen(media)


def _rules(text: str) -> tuple[Rule, ...]:
    return _remembered(text) if len(text) <= _CACHED_CHARACTERS else _read(text)


def _read(text: str) -> tuple[Rule, ...]:
    nodes = tinycss2.parse_stylesheet(without_pictures(text), skip_comments=True, skip_whitespace=True)
    return tuple(_about_text(nodes, depth=0))


_remembered = lru_cache(maxsize=64)(_read)


def _about_text(nodes: Iterable[Any], depth: int) -> Iterator[Rule]:
    for node in nodes:
        if node.type == "qualified-rule":
            block = declarations_of(tinycss2.parse_blocks_contents(node.content))
            about_text = tuple(one for one in block if one.name in TEXT_PROPERTIES)
            if about_text:
                yield Rule(tuple(map(read_selector, split(node.prelude, keep_spaces=True))), about_text)
        elif node.type == "at-rule" and node.content is not None and depth < _MAX_DEPTH and _holds(node):
            inner = tinycss2.parse_rule_list(node.content, skip_comments=True, skip_whitespace=True)
            yield from _about_text(inner, depth + 1)


def _holds(rule: Any) -> bool:
    name = rule.lower_at_keyword
    if name == "media":
        return media_hold(rule.prelude)
    return name == "layer" or (name == "supports" and is_supported(rule.prelude))
