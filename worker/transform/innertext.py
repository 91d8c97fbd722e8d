"""The text that a reader of HTML saw: HTML standard §3.2.7 "The innerText and outerText properties".

The rendered text collection steps, over the tree of a conforming parser. A browser runs them over a
laid-out page; here the walk keeps as much of the layout as text depends on: `style` says what each element
computes to, `whitespace` collapses along each inline formatting context. The walk is a loop with a stack of
its own: nesting costs no recursion.

Most bodies do not need it: `worker.transform.marked` says the same of them in a fraction of the time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from worker.transform import display
from worker.transform.marked import marked_text
from worker.transform.parse import parse, parse_in_page
from worker.transform.style import ROOT, Style, compute
from worker.transform.stylesheet import StyleSheet, has_rules_about_text
from worker.transform.tables import cell_follows, last_section, row_follows
from worker.transform.whitespace import InlineFlow, Results, join, transform_case

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from selectolax.lexbor import LexborNode

    from worker.transform.css import Declaration

_COLLAPSIBLE = re.compile(r"[ \t\n\r]+")
_ONLY_COLLAPSIBLE = re.compile(r"[ \t\n\r]*")


def inner_text(html: str) -> str:
    """Return what a browser's `innerText` gives when `html` is the `innerHTML` of a `<div>` on an empty page.

    Any string is read, none raises. How long that takes is not bounded (`worker.transform.slow`).
    """
    text = marked_text(html)
    return walked_text(html) if text is None else text


def walked_text(html: str) -> str:
    """Return the same by the standard's steps, whatever is in the body."""
    if not has_rules_about_text(html):
        return _Walk(ROOT, None).text(parse(html).root)
    tree = parse(html)
    sheet = StyleSheet(tree)
    if sheet.is_plain:
        return _Walk(ROOT, sheet).text(tree.root)
    page, box = parse_in_page(html)
    sheet = StyleSheet(page)
    root = sheet.style_in_page(box)
    if root.display == "none":
        return box.text(deep=True)  # step 1: what is not rendered gives all its text
    return _Walk(root, sheet).text(box.child)


@dataclass(slots=True)
class _Box:
    """An element that is open in the walk.

    `flow` is the inline formatting context of its children. `placement` says how the box stands among its
    siblings: `inline` (part of the parent's flow), `atomic` (one thing in it), `block`, or `aside` (float,
    absolute position). `draws` is true in an SVG outside its texts, `closed` for details whose summary
    alone shows.
    """

    node: LexborNode
    tag: str
    style: Style
    placement: str
    flow: InlineFlow
    parent: _Box | None
    draws: bool = False
    closed: bool = False
    summary_seen: bool = False
    last_section: int | None = None
    at_end: list[str | int] = field(default_factory=list)


class _Walk:
    """One run of the collection steps."""

    def __init__(self, root: Style, sheet: StyleSheet | None) -> None:
        self._root = root
        self._sheet = sheet
        self._results: Results = []
        self._root_flow = InlineFlow(self._results)

    def text(self, first: LexborNode | None) -> str:
        """Walk the siblings from `first` on, and everything in them, in tree order."""
        box: _Box | None = None
        node = first
        while node is not None or box is not None:
            if node is not None:
                entered = self._visit(node, box)
                if entered is None:
                    node = node.next
                else:
                    box, node = entered, entered.node.child
            elif box is not None:
                self._close(box)
                node, box = box.node.next, box.parent
        self._root_flow.end_line()
        return join(self._results)

    def _visit(self, node: LexborNode, parent: _Box | None) -> _Box | None:
        """Take in one node. Returns its box if its children are to be walked."""
        if node.is_text_node:
            self._text_node(node.text_content or "", parent)
            return None
        if not node.is_element_node or node.tag is None:
            return None
        tag = node.tag.lower()
        if parent is not None and _is_passed_over(tag, parent):
            return None
        return self._element(node, tag, parent)

    def _text_node(self, text: str, parent: _Box | None) -> None:
        """Step 4: a text node gives the text of its boxes, white space collapsed and case transformed."""
        if parent is not None and (parent.draws or parent.closed):
            return
        style = parent.style if parent else self._root
        flow = parent.flow if parent else self._root_flow
        if _drops_white_space(style) and _ONLY_COLLAPSIBLE.fullmatch(text):
            return
        flow.add(transform_case(text, style.text_transform, flow.last), style.white_space, visible=style.visible)

    def _element(self, node: LexborNode, tag: str, parent: _Box | None) -> _Box | None:
        """Run steps 1 to 9 for an element, up to its children."""
        attributes = node.attributes
        style = compute(tag, attributes, parent.style if parent else self._root, self._declared(node))
        if style.display in display.TABLE_COLUMNS and style.visible:
            self._results.append(1)  # for Chromium it is a block, though its box is none
        if style.display == "none" or style.display in display.TABLE_COLUMNS or tag == "wbr":
            return None
        if tag == "br":
            self._line_break(style, parent)
            return None
        if parent is not None and parent.draws and tag in display.SVG_TEXT:
            style = replace(style, display="block")
        box = self._open(node, tag, attributes, style, parent)
        if tag == "select":
            self._options(box)
        elif tag == "option" and style.visible:
            self._results.extend((1, _option_text(node), 1))
        if tag in {"select", "option"} or display.is_replaced(tag, attributes):
            self._close(box)
            return None
        return box

    def _style_of(self, node: LexborNode, parent: Style) -> Style:
        return compute((node.tag or "").lower(), node.attributes, parent, self._declared(node))

    def _declared(self, node: LexborNode) -> Sequence[Declaration]:
        return self._sheet.declared(node) if self._sheet else ()

    def _line_break(self, style: Style, parent: _Box | None) -> None:
        """Step 5: a `br` gives one line feed, which is not a required line break."""
        (parent.flow if parent else self._root_flow).end_line()
        if style.visible:
            self._results.append("\n")

    def _open(
        self, node: LexborNode, tag: str, attributes: Mapping[str, str | None], style: Style, parent: _Box | None
    ) -> _Box:
        """Open an element's box, and put down what goes before and will go behind its children."""
        around = parent.flow if parent else self._root_flow
        placement = _placement(tag, attributes, style, parent)
        if placement == "block":
            around.end_line()
        box = _Box(
            node=node,
            tag=tag,
            style=style,
            placement=placement,
            flow=around if placement == "inline" else InlineFlow(self._results),
            parent=parent,
            draws=tag == "svg" or (parent is not None and parent.draws and tag not in display.SVG_TEXT),
            closed=tag == "details" and "open" not in attributes,
        )
        # Steps 2 and 3: what is not visible, or has no box of its own, gives its items and nothing around.
        if style.visible and style.display != "contents":
            self._put_around(box)
        if tag == "q" and style.display not in display.ITEM_CONTAINERS:
            box.flow.pass_box()  # the quotation mark, which is no text but has its room
        return box

    def _put_around(self, box: _Box) -> None:
        """Put tab, line feed or required line breaks around an element's items: steps 6 to 9."""
        if box.style.display == "table-cell":
            if cell_follows(box.node, box.parent.style if box.parent else self._root, self._style_of):
                box.at_end.append("\t")
        elif box.style.display == "table-row":
            if self._row_follows(box):
                box.at_end.append("\n")
        elif box.tag == "p":
            self._results.append(2)
            box.at_end.append(2)
        elif box.placement != "inline" and box.style.display in display.BLOCK_LEVEL:
            self._results.append(1)
            box.at_end.append(1)

    def _row_follows(self, row: _Box) -> bool:
        """Whether the row is not the last of the nearest table around it."""
        section = row.parent
        if row_follows(row.node, section.style if section else self._root, self._style_of):
            return True
        if section is None or section.style.display not in display.TABLE_SECTIONS:
            return False
        table = section.parent
        if table is None or table.style.display not in display.TABLES:
            return False
        if table.last_section is None:
            table.last_section = last_section(table.node, table.style, self._style_of)
        return table.last_section != section.node.mem_id

    def _close(self, box: _Box) -> None:
        """Close an element's box: its last line ends, and the flow around it goes on."""
        around = box.parent.flow if box.parent else self._root_flow
        if box.tag == "q":
            box.flow.pass_box()
        last = box.flow.last
        if box.placement != "inline":
            box.flow.end_line()
        if box.placement == "block":
            around.end_line()
        elif box.placement == "atomic":
            around.pass_box(last)
        self._results.extend(box.at_end)

    def _options(self, select: _Box) -> None:
        """Step 3: a select shows its options and those of its groups, each on a line of its own."""
        if not select.style.visible:
            return
        for child in _children(select.node):
            if child.tag not in {"option", "optgroup"}:
                continue
            self._results.append(1)
            for option in _children(child) if child.tag == "optgroup" else (child,):
                if option.tag == "option":
                    self._results.extend((1, _option_text(option), 1))
            self._results.append(1)


def _children(node: LexborNode) -> Iterator[LexborNode]:
    """Yield the children of a node; the parser's own iterator gives siblings for a node without a parent."""
    child = node.child
    while child is not None:
        yield child
        child = child.next


def _option_text(option: LexborNode) -> str:
    """Return the text of an option, that of scripts left out (HTML standard §4.10.10)."""
    texts: list[str] = []
    waiting = [option.child]
    while waiting:
        node = waiting.pop()
        if node is None:
            continue
        waiting.append(node.next)
        if node.is_text_node:
            texts.append(node.text_content or "")
        elif node.tag != "script":
            waiting.append(node.child)
    return _COLLAPSIBLE.sub(" ", "".join(texts)).strip(" ")


def _drops_white_space(style: Style) -> bool:
    """Whether white space by itself makes no box in an element. Where it collapses, it goes beside items anyway."""
    if style.display in display.ITEM_CONTAINERS:
        return style.white_space not in {"normal", "nowrap"}
    return style.display in display.DROPS_WHITE_SPACE


def _is_passed_over(tag: str, parent: _Box) -> bool:
    """Whether a child is not rendered because of what its parent is: closed details, a drawing."""
    if parent.closed:
        if tag != "summary" or parent.summary_seen:
            return True
        parent.summary_seen = True
    return parent.draws and tag not in display.SVG_CONTAINERS | display.SVG_TEXT


def _placement(tag: str, attributes: Mapping[str, str | None], style: Style, parent: _Box | None) -> str:
    if style.out_of_flow:
        # An item does not float, and beside one that is positioned each text is an item (CSS Flexbox 1 §4).
        is_item = parent is not None and parent.style.display in display.ITEM_CONTAINERS
        return "block" if is_item else "aside"
    if style.display in display.TABLE_PARTS and parent is not None and parent.placement == "inline":
        return "atomic"  # an inline table is made up around it (CSS Tables 3 §2.2)
    if style.display in display.ATOMIC_INLINE:
        return "atomic"
    if style.display in display.INLINE:
        stands_alone = tag in {"svg", "select"} or display.is_replaced(tag, attributes)
        return "atomic" if stands_alone else "inline"
    return "block"
