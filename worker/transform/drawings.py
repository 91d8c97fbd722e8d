"""What a reader sees of an SVG drawing as text: its `text` elements, each a block (SVG 2 §11.2)."""

from __future__ import annotations

from worker.transform.elements import SVG_SHAPES
from worker.transform.marks import BLOCK
from worker.transform.runs import EDGE_TAGS

_EDGE = f"<{EDGE_TAGS[BLOCK]}>"


def texts_as_blocks(drawing: str) -> str | None:
    """Return of what is in a serialised drawing its texts, or None if something else in it may show."""
    if drawing.count("<") != drawing.count(">"):
        return None
    shown: list[str] = []
    inside = ""
    for place, part in enumerate(drawing.replace(">", "<").split("<")):
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
