"""What stands in a box that shows its content in a way of its own: a drawing, a list of options, flex and grid items.

Each is written out as blocks. All take and return serialised HTML, and return None for what else may show there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.transform.elements import SVG_SHAPES
from worker.transform.marks import BLOCK, EDGES, INLINE, VOID
from worker.transform.runs import EDGE_TAGS

if TYPE_CHECKING:
    from worker.transform.marks import Marks

_EDGE = f"<{EDGE_TAGS[BLOCK]}>"
_OWN_TAGS = frozenset(EDGE_TAGS.values())


def drawn_texts(drawing: str, _marks: Marks) -> str | None:
    """Return of what is in an SVG drawing its `text` elements, each a block (SVG 2 §11.2)."""
    shown: list[str] = []
    inside = ""
    for place, part in enumerate(_texts_and_tags(drawing)):
        if place % 2 == 0:
            shown += [part] * (inside == "text")
        elif inside:
            if part != f"/{inside}":
                return None
            shown += [_EDGE] * (inside == "text")
            inside = ""
        elif part == "text":
            shown.append(_EDGE)
            inside = part
        elif part.partition(" ")[0] in SVG_SHAPES:
            inside = part.partition(" ")[0]
        elif part not in {"g", "/g"}:
            return None
    return "".join(shown)


def options(content: str, _marks: Marks) -> str | None:
    """Return of what is in a `select` its options and those of its groups, each a block (HTML standard §3.2.7)."""
    shown: list[str] = []
    in_option = False
    for place, part in enumerate(_texts_and_tags(content)):
        name = part.partition(" ")[0]
        if place % 2 == 0:
            shown += [part] * in_option
        elif in_option != (name == "/option") or name not in {"option", "/option", "optgroup", "/optgroup"}:
            return None
        else:
            in_option = name == "option"
            shown.append(_EDGE)
    return "".join(shown)


def items(content: str, marks: Marks) -> str | None:
    """Return what is in a flex or grid container, its items as blocks (CSS Flexbox 1 §4, CSS Grid 1 §6)."""
    shown: list[str] = []
    depth = 0
    in_line = False  # whether the open item would stand in a line by itself
    for place, part in enumerate(_texts_and_tags(content)):
        name = part.partition(" ")[0]
        if place % 2 == 0:
            shown.append(part)
        elif name in _OWN_TAGS or (depth and name in VOID):
            shown.append(f"<{part}>")
        elif name.startswith("/"):
            depth -= 1
            shown += [f"<{part}>", _EDGE] if in_line and not depth else [f"<{part}>"]
        else:
            if not depth:
                if name in VOID or marks[part] not in EDGES:
                    return None
                in_line = marks[part] == INLINE
            shown += [_EDGE, f"<{part}>"] if in_line and not depth else [f"<{part}>"]
            depth += 1
    return "".join(shown)


def _texts_and_tags(content: str) -> list[str]:
    """Return texts and tags in turn. Nothing but tags has a `<` or a `>`."""
    return content.replace(">", "<").split("<")
