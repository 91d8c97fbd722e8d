"""`<style>` elements of a body: reading their rules, and writing them into `style` attributes."""

from __future__ import annotations

import re
from functools import lru_cache, partial
from typing import TYPE_CHECKING, NamedTuple

from worker.transform.css import TEXT_PROPERTIES, StyleSheet, is_for_a_screen

if TYPE_CHECKING:
    from collections.abc import Callable

    from selectolax.lexbor import LexborHTMLParser
    from turbohtml import Element

EMPTY_SHEET = "<style></style>"
_PLAIN_SHEET = re.compile(
    r"""<style(?: type=(?:"text/css"|'text/css'|text/css))?>([^<]*+(?:<!--[^<]*+)?)</style>""", re.IGNORECASE
)
_STYLE_ELEMENT = re.compile(r"<style", re.IGNORECASE)
_TEXT_PROPERTIES = [name.encode() for name in TEXT_PROPERTIES]
_FEW_RULES = 20
SHORT_SHEETS_CHARACTERS = 4_000  # what a style sheet comes to is remembered up to this length
_SHORT_NAMES_CHARACTERS = 200


def has_style_element(html: str) -> bool:
    """Whether the body may hold a `<style>` element."""
    return _STYLE_ELEMENT.search(html) is not None


def has_rules_about_text(html: str) -> bool:
    """Whether the body may hold a `<style>` element with a rule that text depends on."""
    octets = html.encode().lower()
    start = octets.find(b"<style")
    if start < 0:
        return False
    end = octets.rfind(b"</style", start)
    sheets = octets[start:end] if end > 0 else octets[start:]
    return any(name in sheets for name in _TEXT_PROPERTIES)


def cut_out_sheets(html: str) -> tuple[str, tuple[str, ...]]:
    """Return a body with nothing in its `<style>` elements, and what was in them.

    Those with another attribute than their type, or with a tag in them, stay as they are. So do all if they are long.
    """
    sheets = tuple(_PLAIN_SHEET.findall(html))
    if sum(map(len, sheets)) > SHORT_SHEETS_CHARACTERS:
        return html, ()
    return _PLAIN_SHEET.sub(EMPTY_SHEET, html), sheets


def style_sheet(tree: LexborHTMLParser) -> StyleSheet:
    """Return the rules of all `<style>` elements meant for a screen."""
    sheet = StyleSheet()
    for element in tree.css("style"):
        if is_for_a_screen(element.attributes.get("media")):
            sheet.add(element.text(deep=True))
    return sheet


def inline_rules(tree: Element) -> None:
    """Write what the `<style>` rules of a tree say about text into `style` attributes.

    For who drops `<style>`: what the rules hide stays hidden without them. What is in a `<template>` is left out: it
    is not shown, and neither its rules nor those around it apply across its edge.
    """
    tree.remove("template")
    rules = _inlinable(
        tuple(element.text for element in tree.select("style") if is_for_a_screen(element.attr("media")))
    )
    for element in tree.select(rules.selector) if rules.selector else ():
        names = (element.tag.lower(), element.attr("class") or "", element.attr("id") or "")
        is_short = sum(map(len, names)) <= _SHORT_NAMES_CHARACTERS
        style = rules.remembered(*names) if is_short else _style(rules.sheet, *names)
        if style:
            element.attrs["style"] = f"{style};{element.attr('style') or ''}"


class _Rules(NamedTuple):
    """Some style sheets, what they say of elements by tag, class and id, and one selector for all that they match."""

    sheet: StyleSheet
    remembered: Callable[[str, str, str], str]
    selector: str


def _read(texts: tuple[str, ...]) -> _Rules:
    sheet = StyleSheet()
    for text in texts:
        sheet.add(text)
    # Where asking rule by rule would take longer, all.
    selector = ",".join(sheet.rules) if len(sheet.rules) <= _FEW_RULES else "*"
    return _Rules(sheet, lru_cache(maxsize=64)(partial(_style, sheet)), selector)


_remembered = lru_cache(maxsize=64)(_read)


def _inlinable(texts: tuple[str, ...]) -> _Rules:
    return _remembered(texts) if sum(map(len, texts)) <= SHORT_SHEETS_CHARACTERS else _read(texts)


def _style(sheet: StyleSheet, tag: str, class_: str, id_: str) -> str:
    """Return the declarations for an element as a `style` attribute."""
    rules = {
        (declaration.name, declaration.important): declaration
        for declaration in sheet.matching(tag, {"class": class_, "id": id_})
        if declaration.value.replace("-", "").replace(" ", "").isalpha()
    }
    return ";".join(map(str, rules.values()))
