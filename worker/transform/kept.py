"""White space that is kept: how it is written in serialised HTML, so that no other white space is taken for it.

In `<pre>`, and under `white-space: pre` and its kin (CSS Text 3 §3), every space counts. There they are written as
references, which nothing collapses, until the text is done.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from worker.transform.marks import EDGES, INLINE_BLOCK, KEEPS_LINE_FEEDS, KEEPS_WHITE_SPACE, VOID
from worker.transform.runs import EDGE_TAGS, KEPT_TAGS

if TYPE_CHECKING:
    from worker.transform.marks import Marks

# No text has these: its `&` is `&amp;`.
_KEPT = {" ": "&#32;", "\n": "&#10;", "\t": "&#9;", "\r": "&#13;"}
_KEPT_BREAK = _KEPT["\n"]
_KEPT_LINE_END = "&#010;"  # without the spaces around it
_BREAKS = (_KEPT_BREAK, _KEPT_LINE_END)
KEPT_REFERENCE = re.compile("&#")

# By mark: what is kept, and the tags that are written where it begins and ends.
KEEPING = {
    kind + edge: (kind, f"<{KEPT_TAGS[kind]}><{EDGE_TAGS[edge]}>")
    for kind in (KEEPS_WHITE_SPACE, KEEPS_LINE_FEEDS)
    for edge in EDGES
}
# What is read in another way there, or may switch off what holds there, or keeps something else.
_SWITCHES = r"<table[ >]|white-space|text-transform|/\*"
_OTHERWISE = {
    KEEPS_WHITE_SPACE: re.compile(rf"{_SWITCHES}|<{KEPT_TAGS[KEEPS_LINE_FEEDS]}>", re.IGNORECASE),
    KEEPS_LINE_FEEDS: re.compile(rf"{_SWITCHES}|<{KEPT_TAGS[KEEPS_WHITE_SPACE]}>|<(?:listing|pre)[ >]", re.IGNORECASE),
}
# Each costs a look at the body and a copy of it; the walk costs neither.
_MAX_CHARACTERS_READ = 500_000


def with_white_space_kept(canonical: str, odd: list[str], marks: Marks) -> str | None:
    """Return a serialised body in which the white space is written out that elements keep. None for the walk.

    Tags of our own stand in the place of theirs, which are among the `odd` ones.
    """
    if any(marks[tag] == INLINE_BLOCK or "<" in tag for tag in odd):
        return None  # an inline block may be empty, and as a picture
    left = _MAX_CHARACTERS_READ
    for tag in odd:
        if marks[tag] not in KEEPING:
            continue
        kind, edge = KEEPING[marks[tag]]
        name = tag.partition(" ")[0]
        start = canonical.find(f"<{tag}>")
        while start >= 0:
            left -= len(canonical)
            end = _end_tag(name, canonical, start + 1)
            content = canonical[start + len(tag) + 2 : end]
            if name in VOID or left < 0 or ("<" in content and _OTHERWISE[kind].search(content)):
                return None
            content = _in_texts(content, kind)
            canonical = f"{canonical[:start]}{edge}{content}{edge}{canonical[end + len(name) + 3 :]}"
            start = canonical.find(f"<{tag}>", start)
    return canonical


def has_picture_at_kept_break(parts: list[str]) -> bool:
    """Whether a picture stands beside a line feed that is kept: it would keep the spaces there."""
    return any(
        ("img" in run or "input" in run) and (before.rstrip(" ").endswith(_BREAKS) or behind.startswith(_KEPT_LINE_END))
        for before, run, behind in zip(parts[::2], parts[1::2], parts[2::2], strict=False)
    )


def _end_tag(name: str, canonical: str, start: int) -> int:
    """Return where the end tag of the element stands whose start tag has its name at `start`."""
    first = canonical.find(f"</{name}>", start)
    if canonical.find(f"<{name}", start, first) < 0:
        return first
    depth = 1
    at = start
    for tag in _tags_of(name).finditer(canonical, start):
        depth += -1 if tag[1] else 1
        at = tag.start()
        if not depth:
            break
    return at


@lru_cache(maxsize=64)
def _tags_of(name: str) -> re.Pattern[str]:
    return re.compile(f"<(/?){re.escape(name)}[ >]")


def _in_texts(content: str, kind: str) -> str:
    """Write out the white space in the texts of serialised HTML, not that in its tags."""
    if "<" not in content:
        return _written_out(content, kind)
    texts_and_tags = content.replace(">", "<").split("<")
    return "".join(
        f"<{part}>" if at % 2 else _written_out(part, kind) for at, part in enumerate(texts_and_tags)
    )  # fmt: skip


def _written_out(text: str, kind: str) -> str:
    if kind == KEEPS_LINE_FEEDS:
        return text.replace("\n", _KEPT_LINE_END)
    for space, reference in _KEPT.items():
        text = text.replace(space, reference)
    return text


def without_spaces_at_kept_breaks(text: str) -> str:
    """Return a text without the spaces behind or around a line feed that was kept.

    Such a line feed ends a line as a `br` does, but the spaces before it stay.
    """
    text = text.replace(_KEPT_BREAK + " ", _KEPT_BREAK)
    return text.replace(" " + _KEPT_LINE_END, _KEPT_LINE_END).replace(_KEPT_LINE_END + " ", _KEPT_LINE_END)
