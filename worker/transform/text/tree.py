"""The tree of a body that the walk reads, its style sheets written into `style` attributes.

turbohtml parses in a sixth of the time that lexbor takes, and makes the same tree of nearly every body. Where the two
differ lexbor is right, so bodies with such an element go to lexbor. So do bodies whose style sheets need its selectors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from turbohtml import Element, Text

from worker.transform.text.parse import parse, parse_in_page, parse_to_write
from worker.transform.text.style import ROOT, Style
from worker.transform.text.stylesheet import StyleSheet, as_attribute, has_rules_about_text, with_plain_rules_applied

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

# A list of options ends in another place, what breaks out of foreign content differs, and so does `isindex`.
_READ_OTHERWISE = ("<select", "<svg", "<math", "<isindex")
_READ_ATTRIBUTES = ("align", "controls", "data", "hidden", "open", "type")


class Tree(NamedTuple):
    """A body as the children of `root`, and the style of the block that it stands in."""

    root: Element
    style: Style


def quick_tree(html: str) -> Element | None:
    """Return the tree of a well-formed body by the fast parser, or None if its rules need lexbor's selectors."""
    if "\x00" in html:
        return None
    return with_plain_rules_applied(html) if "{" in html and has_rules_about_text(html) else parse_to_write(html)


def tree_of(html: str, quick: Element | None) -> Tree:
    """Return the tree of a well-formed body: its `quick_tree` where both parsers make the same, else lexbor's."""
    if quick is None or any(map(quick.inner_html.__contains__, _READ_OTHERWISE)):
        return tree_by_lexbor(html)
    return Tree(quick, ROOT)


def tree_by_lexbor(html: str) -> Tree:
    """Return the tree of a body as lexbor parses it and matches its style sheets."""
    tree = parse(html)
    if not has_rules_about_text(html):
        return Tree(_copied(tree.root, None), ROOT)
    sheet = StyleSheet(tree)
    if sheet.is_plain:
        return Tree(_copied(tree.root, sheet), ROOT)
    page, box = parse_in_page(html)
    sheet = StyleSheet(page)
    style = sheet.style_in_page(box)
    return Tree(_copied(box.child, sheet), style)


def _copied(first: LexborNode | None, sheet: StyleSheet | None) -> Element:
    """Return a copy of a node and the siblings after it, with what text depends on."""
    root = Element("div")
    waiting = [(root, first)]
    while waiting:
        parent, node = waiting.pop()
        while node is not None:
            if node.is_text_node:
                parent.append(Text(node.text_content or ""))
            elif node.is_element_node and node.tag is not None:
                tag = node.tag.lower()
                element = Element(tag if tag.isalnum() else "x", _attributes(node, sheet))
                parent.append(element)
                waiting.append((element, node.child))
            node = node.next
    return root


def _attributes(node: LexborNode, sheet: StyleSheet | None) -> dict[str, str | None]:
    attributes = node.attributes
    style = attributes.get("style")
    if sheet is not None:
        style = as_attribute(sheet.declared(node), style)
    read: dict[str, str | None] = {name: attributes[name] for name in _READ_ATTRIBUTES if name in attributes}
    return {**read, "style": style} if style else read
