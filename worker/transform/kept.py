"""White space that is kept: how it is written in serialised HTML, so that no other white space is taken for it.

In `<pre>`, and under `white-space: pre` and its kin (CSS Text 3 §3), every space counts. There they are written as
references, which nothing collapses, until the text is done.
"""

from __future__ import annotations

import re

from worker.transform.marks import KEEPS_LINE_FEEDS, KEEPS_WHITE_SPACE

# No text has these: its `&` is `&amp;`.
_KEPT = {" ": "&#32;", "\n": "&#10;", "\t": "&#9;", "\r": "&#13;"}
_KEPT_BREAK = _KEPT["\n"]
_KEPT_LINE_END = "&#010;"  # without the spaces around it
_BREAKS = (_KEPT_BREAK, _KEPT_LINE_END)
KEPT_REFERENCE = re.compile("&#")

# What is read in another way there, or may switch off what holds there, or keeps something else.
_SWITCHES = r"<table[ >]|white-space|text-transform|/\*"
_OTHERWISE = {
    KEEPS_WHITE_SPACE: re.compile(_SWITCHES, re.IGNORECASE),
    KEEPS_LINE_FEEDS: re.compile(rf"{_SWITCHES}|<(?:listing|pre)[ >]", re.IGNORECASE),
}


def with_white_space_kept(text: str) -> str:
    """Write out the white space of a text under `white-space: pre`, `pre-wrap` or `break-spaces`."""
    for space, reference in _KEPT.items():
        text = text.replace(space, reference)
    return text


def with_line_feeds_kept(text: str) -> str:
    """Write out the line feeds of a text under `white-space: pre-line`."""
    return text.replace("\n", _KEPT_LINE_END)


_WRITTEN_OUT = {KEEPS_WHITE_SPACE: with_white_space_kept, KEEPS_LINE_FEEDS: with_line_feeds_kept}


def kept_in_texts(content: str, kind: str) -> str | None:
    """Return serialised HTML with the white space of its texts written out, not that in its tags. None for the walk."""
    if "<" not in content:
        return _WRITTEN_OUT[kind](content)
    if _OTHERWISE[kind].search(content):
        return None
    texts_and_tags = content.replace(">", "<").split("<")
    return "".join(
        f"<{part}>" if at % 2 else _WRITTEN_OUT[kind](part) for at, part in enumerate(texts_and_tags)
    )  # fmt: skip


def has_picture_at_kept_break(parts: list[str]) -> bool:
    """Whether a picture stands beside a line feed that is kept: it would keep the spaces there."""
    return any(
        has_picture(run) and (before.rstrip(" \n\t\r").endswith(_BREAKS) or behind.startswith(_KEPT_LINE_END))
        for before, run, behind in zip(parts[::2], parts[1::2], parts[2::2], strict=False)
    )


def has_picture(run: str) -> bool:
    """Whether a run may have a picture in it, or what keeps spaces as one does."""
    return "img" in run or "input" in run or "q>" in run or "q " in run


def without_spaces_at_kept_breaks(text: str) -> str:
    """Return a text without the spaces behind or around a line feed that was kept.

    Such a line feed ends a line as a `br` does, but the spaces before it stay.
    """
    text = text.replace(_KEPT_BREAK + " ", _KEPT_BREAK)
    return text.replace(" " + _KEPT_LINE_END, _KEPT_LINE_END).replace(_KEPT_LINE_END + " ", _KEPT_LINE_END)
