"""Formatting elements, and where a body reads the same without them (HTML standard §13.2.4.3).

Where they nest badly, a parser ends them early, moves them, and opens them again. Of plain words and blocks nothing of
that shows. It may show in what an end tag of theirs ends too, in what goes by its children, and in headings.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from worker.transform.elements import SVG_ELEMENTS
from worker.transform.marks import CLOSED, EDGES, ITEMS

if TYPE_CHECKING:
    from worker.transform.runs import Apart

_SPACE = r"[ \n\t\r]"
_NAME = rf"(?:a|b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)(?={_SPACE}|/?>)"
_START_OR_END = re.compile(rf"</?{_NAME}")
_TAG = re.compile(rf"</?{_NAME}[^<>]*>", re.IGNORECASE)
_LEFT_OUT = "<!---->"
_MAY_SHOW = re.compile(rf"<{_NAME}[^<>]*{_SPACE}(?:hidden|style)", re.IGNORECASE)
# They end with a formatting element around them, as they are none of the "special" ones (§13.2.4.2).
_NOT_SPECIAL_NAMES = """
    abbr acronym bdi bdo cite del dfn dialog ins kbd label legend map mark optgroup option q rp rt ruby samp span sub
    sup svg time var video xml
"""
_NOT_SPECIAL = frozenset(_NOT_SPECIAL_NAMES.split()) | (SVG_ELEMENTS - {"title"})
# Of these, what shows where it ends without any attribute, or ends others in it (`ruby`). A drawing ends where a
# formatting element begins, too.
_SHOWS_END = frozenset({"legend", "optgroup", "option", "q", "ruby", "svg"})
_END_THAT_SHOWS = re.compile(rf"</?(?:{'|'.join(sorted(_SHOWS_END))})(?={_SPACE}|/?>)", re.IGNORECASE)
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_HEADING_START = re.compile("<h[1-6]", re.IGNORECASE)
# Shown by what their children are, which formatting elements may come around.
_BY_CHILDREN = frozenset(kind + edge for kind in (CLOSED, ITEMS) for edge in EDGES)


def formatting_tags(tags: str) -> list[str]:
    """Return of some tags those of formatting elements, each as `<b` or `</b`."""
    return _START_OR_END.findall(tags.lower())


def without_formatting(run: str) -> str:
    """Return a run without the tags of formatting elements. An empty comment stands for each."""
    return _TAG.sub(_LEFT_OUT, f"<{run}")[1:]


def formatting_may_show(run: str, names: tuple[str, ...]) -> bool:
    """Whether it may show that a run has no formatting elements, where elements of these names are open."""
    tags = f"<{run}"
    # One that begins ends one that is open, but not if a formatting element is open in it.
    headings = len(_HEADING_START.findall(tags))
    if headings and headings + len(_HEADINGS.intersection(names)) > 1:
        return True
    if not _TAG.search(tags):
        return False
    if "<!--[" in tags:
        return True  # what stands for a tag would end the comment
    return bool(_MAY_SHOW.search(tags) or _END_THAT_SHOWS.search(tags) or not _SHOWS_END.isdisjoint(names))


def goes_by_formatting(run: Apart) -> bool:
    """Whether something that a run begins may end with a formatting element, or goes by what its children are."""
    is_special = _NOT_SPECIAL.isdisjoint(run.names) and not any(":" in name for name in run.names)
    return not (is_special and _BY_CHILDREN.isdisjoint(run.marks))
