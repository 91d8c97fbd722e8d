"""The text that a reader of HTML saw: HTML standard §3.2.7 "The innerText and outerText properties".

The rendered text collection steps, over the tree of a conforming parser. A browser runs them over a laid-out page; here
the walk keeps as much of the layout as text depends on: `boxes` says what box an element makes, `whitespace` collapses
along each inline formatting context. The walk is a loop with a stack of its own: nesting costs no recursion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from turbohtml import Element, Text

from worker.transform.text import user_agent_css as ua
from worker.transform.text.boxes import (
    ATOMIC,
    BLOCK,
    BREAK_OPPORTUNITY,
    CLOSED,
    COLUMNS,
    DRAWING,
    INLINE,
    LINE_BREAK,
    NOT_RENDERED,
    OPTION,
    QUOTATION,
    SELECT,
    kind_of,
    root_kind,
)
from worker.transform.text.fast.short_cut import fast_text
from worker.transform.text.options import option_text, options_of
from worker.transform.text.parse import well_formed
from worker.transform.text.tree import quick_tree, tree_of
from worker.transform.text.whitespace import SPACES, InlineFlow, Results, collapse, join, transform_case

if TYPE_CHECKING:
    from collections.abc import Iterator

    from turbohtml import Node

    from worker.transform.text.boxes import Kind
    from worker.transform.text.style import Style
    from worker.transform.text.tree import Tree

_MORE_THAN_WORDS = "<&\x00\u200b"
_Waiting: TypeAlias = tuple[int, str]
_NO_BOX = frozenset({COLUMNS, NOT_RENDERED})
_NO_BOX_TO_OPEN = _NO_BOX | {BREAK_OPPORTUNITY, LINE_BREAK}


def inner_text(html: str) -> str:
    """Return what a browser's `innerText` gives when `html` is the `innerHTML` of a `<div>` on an empty page.

    Any string is read, none raises. How long that takes is not bounded (`worker.transform.slow`).
    """
    html = well_formed(html)
    if not any(map(html.__contains__, _MORE_THAN_WORDS)):
        return collapse(html).strip(" ")
    quick = quick_tree(html)
    text = None if quick is None else fast_text(quick.inner_html)
    return text_of(tree_of(html, quick)) if text is None else text


def text_of(body: Tree) -> str:
    """Return the text of a body by the standard's steps."""
    root, style = body
    if style.display == "none":
        return root.text  # step 1: what is not rendered gives all its text
    return _Walk().text(root, style)


class _Box:
    """An element that is open in the walk.

    `flow` is the inline formatting context of its children. `shows` is "" if it shows them all, DRAWING or CLOSED if it
    shows what those do, NOT_RENDERED if it shows none. A tab behind a cell and a line feed behind a row are written
    once something follows: `waiting` has the place and the separator of the last child, and for a table `last_row`
    has those of the last row in its sections.
    """

    shows = ""
    waiting: _Waiting | None = None
    last_row: _Waiting | None = None

    def __init__(self, kind: Kind, placement: str, flow: InlineFlow) -> None:
        self.kind = kind
        self.placement = placement
        self.flow = flow
        self.collapses = kind.collapses

    def show_only(self, shows: str) -> None:
        """Show none of the texts among the children, and of the elements only what `shows` says."""
        self.shows = shows
        self.collapses = False


class _Walk:
    """One run of the collection steps."""

    def __init__(self) -> None:
        self._results: Results = []

    def text(self, root: Element, style: Style) -> str:
        """Walk everything in an element, in tree order, as if it were in a block of this style."""
        box = _Box(root_kind(style), BLOCK, InlineFlow(self._results))
        nodes = iter(root)
        around: list[tuple[_Box, Iterator[Node]]] = []
        while True:
            for node in nodes:
                if type(node) is Text:
                    if box.collapses and box.waiting is None:
                        box.flow.add_collapsed(node.data)
                    else:
                        self._text_node(node.data, box)
                elif type(node) is Element:
                    opened = self._element(node, box)
                    if opened is not None:
                        around.append((box, nodes))
                        box, nodes = opened, iter(node)
                        break
            else:
                if not around:
                    box.flow.end_line()
                    return join(self._results)
                closed = box
                box, nodes = around.pop()
                if not closed.kind.is_transparent:
                    self._close(closed, box)

    def _text_node(self, text: str, parent: _Box) -> None:
        """Step 4: a text node gives the text of its boxes, white space collapsed and case transformed."""
        if parent.shows:
            return
        style = parent.kind.style
        if text.strip(SPACES):
            self._write_separator(parent, "stray text")
        elif _drops_white_space(style):
            return
        if style.text_transform != "none":
            text = transform_case(text, style.text_transform, parent.flow.last)
        parent.flow.add(text, style.white_space, visible=style.visible)

    def _element(self, node: Element, parent: _Box) -> _Box | None:
        """Run steps 1 to 9 for an element, up to its children. Returns its box if these are to be walked."""
        tag = node.tag
        if parent.shows and not _is_shown(tag, parent):
            return None
        kind = kind_of(tag, node.attrs, parent.kind.style, in_drawing=parent.shows == DRAWING)
        if parent.waiting is not None and kind.role not in _NO_BOX and not kind.style.out_of_flow:
            self._write_separator(parent, kind.style.display)
        if kind.is_leaf:
            self._leaf(node, kind, parent)
            return None
        box = _Box(kind, INLINE, parent.flow) if kind.is_transparent else self._open(kind, parent)
        if parent.shows == DRAWING and tag not in ua.SVG_TEXT:
            box.show_only(DRAWING)
        return box

    def _leaf(self, node: Element, kind: Kind, parent: _Box) -> None:
        """Process an element whose children are not walked."""
        if kind.role == LINE_BREAK:
            self._line_break(kind.style, parent)
        elif kind.role == COLUMNS and kind.style.visible:
            self._results.append(1)  # for Chromium it is a block, though its box is none
        if kind.role in _NO_BOX_TO_OPEN:
            return
        box = self._open(kind, parent)
        if kind.style.visible and kind.role == SELECT:
            self._results.extend(options_of(node))
        elif kind.style.visible and kind.role == OPTION:
            self._results.extend((1, option_text(node), 1))
        self._close(box, parent)

    def _line_break(self, style: Style, parent: _Box) -> None:
        """Step 5: a `br` gives one line feed, which is not a required line break."""
        parent.flow.end_line()
        if style.visible:
            self._results.append("\n")

    def _open(self, kind: Kind, parent: _Box) -> _Box:
        """Open an element's box, and write what comes before its children."""
        placement, flow = kind.placement, parent.flow
        if placement == BLOCK and parent.placement == INLINE and kind.style.display in ua.TABLE_PARTS:
            placement = ATOMIC  # an inline table is made up around it (CSS Tables 3 §2.2)
        if placement == BLOCK:
            flow.end_line()  # the line goes on in the block: it ends where the block does
        elif placement != INLINE:
            flow = InlineFlow(self._results)
        if kind.line_breaks:
            self._results.append(kind.line_breaks)
        box = _Box(kind, placement, flow)
        if parent.last_row is not None and kind.style.display in ua.TABLE_SECTIONS:
            box.waiting, parent.last_row = parent.last_row, None
        if kind.role:
            self._begin(kind, box)
        return box

    def _begin(self, kind: Kind, box: _Box) -> None:
        if kind.role in {CLOSED, DRAWING}:
            box.show_only(kind.role)
        elif kind.role == QUOTATION and kind.style.display not in ua.ITEM_CONTAINERS:
            box.flow.pass_box()  # the quotation mark, which is no text but has its room

    def _close(self, box: _Box, parent: _Box) -> None:
        """Close an element's box: its last line ends, and the flow around it goes on. Steps 6 to 9."""
        kind = box.kind
        if kind.role == QUOTATION:
            box.flow.pass_box()
        if box.placement != INLINE:
            last = box.flow.last
            box.flow.end_line()
            if box.placement == ATOMIC:
                parent.flow.pass_box(last)
        if kind.line_breaks:
            self._results.append(kind.line_breaks)
        elif kind.separator:
            parent.waiting = len(self._results), kind.separator
            self._results.append("")
        if box.waiting is not None and box.waiting[1] == "\n" and _is_section(box, parent):
            parent.last_row = box.waiting

    def _write_separator(self, parent: _Box, following: str) -> None:
        """Write what waits behind the last child of a box if what follows, by its `display`, is another of its kind.

        The last *box* counts, so what is not rendered is passed over, and boxes that CSS makes up around stray content
        count like real ones (CSS Tables 3 §2.2 "Fixup"): in a row, anything that is rendered gets a cell, elsewhere it
        ends the made-up row. The sections of a table are read on from one to the next.
        """
        if parent.waiting is None:
            return
        place, separator = parent.waiting
        parent.waiting = None
        around = parent.kind.style.display
        if separator == "\t":
            is_another = following == "table-cell" or around == "table-row"
        else:
            is_another = following == "table-row" or around in ua.TABLE_SECTIONS
        if is_another:
            self._results[place] = separator


def _is_section(box: _Box, parent: _Box) -> bool:
    return box.kind.style.display in ua.TABLE_SECTIONS and parent.kind.style.display in ua.TABLES


def _drops_white_space(style: Style) -> bool:
    """Whether white space by itself makes no box in an element. Where it collapses, it goes beside items anyway."""
    if style.display in ua.ITEM_CONTAINERS:
        return style.white_space not in {"normal", "nowrap"}
    return style.display in ua.DROPS_WHITE_SPACE


def _is_shown(tag: str, parent: _Box) -> bool:
    """Whether a child is rendered in closed details, which show their first summary, or in a drawing."""
    if parent.shows == CLOSED and tag == "summary":
        parent.shows = NOT_RENDERED
        return True
    return parent.shows == DRAWING and (tag in ua.SVG_CONTAINERS or tag in ua.SVG_TEXT)
