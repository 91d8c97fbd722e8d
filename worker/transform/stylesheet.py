"""`<style>` elements of a body: reading their rules, and writing them into `style` attributes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from worker.transform.css import TEXT_PROPERTIES, StyleSheet
from worker.transform.parse import parse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from selectolax.lexbor import LexborHTMLParser, LexborNode

_STYLE_ELEMENT = re.compile(r"<style", re.IGNORECASE)
_FEW_RULES = 20
_MARK = re.compile(r"([.#])")


def has_style_element(html: str) -> bool:
    """Whether the body may hold a `<style>` element."""
    return _STYLE_ELEMENT.search(html) is not None


def has_rules_about_text(html: str) -> bool:
    """Whether the body may hold a `<style>` element with a rule that text depends on."""
    html = html.lower()
    start = html.find("<style")
    if start < 0:
        return False
    end = html.rfind("</style", start)
    sheets = html[start:end] if end > 0 else html[start:]
    return any(name in sheets for name in TEXT_PROPERTIES)


def style_sheet(tree: LexborHTMLParser) -> StyleSheet:
    """Return the rules of all `<style>` elements meant for a screen."""
    sheet = StyleSheet()
    for element in tree.css("style"):
        media = (element.attributes.get("media") or "all").strip().lower()
        if media in {"all", "screen"}:
            sheet.add(element.text(deep=True))
    return sheet


def with_rules_inlined(html: str) -> str:
    """Return the body with what its `<style>` rules say about text in `style` attributes.

    For who drops `<style>`: what the rules hide stays hidden without them.
    """
    tree = parse(html)
    sheet = style_sheet(tree)
    if not sheet.rules:
        return html
    for element in _named(tree, sheet):
        _inline(element, sheet)
    return tree.html or ""


def _named(tree: LexborHTMLParser, sheet: StyleSheet) -> Iterable[LexborNode]:
    """Return the elements that rules can match, or all where asking rule by rule would take longer."""
    if len(sheet.rules) > _FEW_RULES:
        return tree.css("*")
    named = {element.mem_id: element for selector in sheet.rules for element in tree.css(_as_attributes(selector))}
    return named.values()


def _as_attributes(selector: str) -> str:
    """Write `p.note` as `p[class~="note"]`, which takes any name: `.1a` alone would be no selector."""
    tag, mark, name = _MARK.split(selector) if _MARK.search(selector) else (selector, "", "")
    return {"": tag, ".": f'{tag}[class~="{name}"]', "#": f'{tag}[id="{name}"]'}[mark]


def _inline(element: LexborNode, sheet: StyleSheet) -> None:
    attributes = element.attributes
    rules = {
        (declaration.name, declaration.important): declaration
        for declaration in sheet.matching((element.tag or "").lower(), attributes)
        if declaration.value.replace("-", "").isalpha()
    }
    if rules:
        inlined = [str(declaration) for declaration in rules.values()]
        element.attrs["style"] = ";".join([*inlined, attributes.get("style") or ""])
