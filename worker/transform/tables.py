"""Which cell is the last of its row, which row the last of its table: HTML standard §3.2.7, steps 6 and 7.

The last *box* counts, so what is not rendered is passed over, and boxes that CSS makes up around stray
content count like real ones (CSS Tables 3 §2.2 "Fixup").
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from worker.transform.display import TABLE_COLUMNS, TABLE_SECTIONS
from worker.transform.style import Style

if TYPE_CHECKING:
    from collections.abc import Iterator

    from selectolax.lexbor import LexborNode

# Computes an element's style, given its parent's.
StyleOf: TypeAlias = Callable[["LexborNode", Style], Style]
_ONLY_COLLAPSIBLE = re.compile(r"[ \t\n\r]*")
_STRAY = "stray"


def cell_follows(cell: LexborNode, parent: Style, style_of: StyleOf) -> bool:
    """Whether another cell box stands behind this one in its row."""
    following = next(_displays(cell.next, parent, style_of), None)
    # In a row, anything else that is rendered gets a cell made around it; elsewhere it ends the made-up row.
    return following is not None and (parent.display == "table-row" or following[1] == "table-cell")


def row_follows(row: LexborNode, parent: Style, style_of: StyleOf) -> bool:
    """Whether another row box stands behind this one in the same section, or in the same made-up table."""
    following = next(_displays(row.next, parent, style_of), None)
    return following is not None and (parent.display in TABLE_SECTIONS or following[1] == "table-row")


def last_section(table: LexborNode, style: Style, style_of: StyleOf) -> int | None:
    """Return the `mem_id` of the last section that has rows, in tree order as browsers take it, or None."""
    last = None
    for child, shown_as in _displays(table.child, style, style_of):
        if shown_as not in TABLE_SECTIONS:
            continue
        if next(_displays(child.child, style_of(child, style), style_of), None) is not None:
            last = child.mem_id
    return last


def _displays(node: LexborNode | None, parent: Style, style_of: StyleOf) -> Iterator[tuple[LexborNode, str]]:
    """Yield each rendered sibling from `node` on with its `display`, or `stray` for text."""
    while node is not None:
        if node.is_element_node:
            style = style_of(node, parent)
            if style.display != "none" and style.display not in TABLE_COLUMNS and not style.out_of_flow:
                yield node, style.display
        elif node.is_text_node and not _ONLY_COLLAPSIBLE.fullmatch(node.text_content or ""):
            yield node, _STRAY
        node = node.next
