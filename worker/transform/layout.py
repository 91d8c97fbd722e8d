"""How texts, and what stands between them, come together as lines.

What stands between two texts has marks for line feeds and tabs, so that no white space of a text is taken for them.
Where a picture or an end of an inline block stands beside a text, it has a mark of that box too, because the spaces of
the text go or stay by it.
"""

from __future__ import annotations

from worker.transform.marks import (
    BLOCK,
    BREAK,
    CAPTION,
    CELL,
    COLUMNS,
    INLINE_BLOCK,
    INLINE_BLOCK_END,
    INVISIBLE_BLOCK,
    PARAGRAPH,
    PICTURE,
    ROW,
    TABLE,
    UNSEEN_TEXT,
)

MARK = "<"
"""Begins a mark that is left in what a run comes to. No text has it: there it is `&lt;`."""

NOT_PLAIN = MARK + "!"
"""What a run comes to that has to be looked at more closely."""

_LINE_FEED, _TAB = ">", MARK + "t"
_TABLE_MARKS = frozenset({TABLE, CAPTION, COLUMNS, ROW, CELL})
# Stands for the texts around a run: not white space, not a mark.
_TEXT = "x"


def laid_out(text: str) -> str:
    """Return what texts and runs came to as lines, without the spaces that they do not show. Marks may be left.

    Spaces collapse, and go at the end of a line.
    """
    text = collapse(spaces_only(text))
    return text.replace(" " + _LINE_FEED, _LINE_FEED).replace(_LINE_FEED, "\n").rstrip(" ")


def without_marks(text: str) -> str:
    """Return the lines of a body without the marks that are left: cells have tabs between them, boxes go.

    Spaces go at the end of a cell. A picture keeps those before it; an inline block has an end of its own.
    """
    text = text.replace(" " + _TAB, _TAB).replace(_TAB, "\t")
    without_pictures = text.replace(PICTURE, "")
    if MARK not in without_pictures:
        return without_pictures
    return _without_boxes(text.replace(" " + INLINE_BLOCK_END, "").replace(" " + INVISIBLE_BLOCK, ""))


def between(marks: list[str], *, text_before: bool, text_behind: bool) -> str:
    """Return what marks and spaces come to between two texts, or at an edge of the body."""
    before, behind = _TEXT * text_before, _TEXT * text_behind
    text = _without_marks(collapse(f"{before}{''.join(marks)}{behind}").strip(" "), set(marks))
    if text is None:
        return NOT_PLAIN
    return text[len(before) : len(text) - len(behind)].replace(BREAK, _LINE_FEED).replace(CELL, _TAB)


def _without_marks(text: str, kinds: set[str]) -> str | None:
    """Take white space off the ends of lines, and turn the marks into what they become. None for the walk."""
    if BREAK in kinds:
        text = _without_spaces_around(BREAK, text)
    if not kinds.isdisjoint(_TABLE_MARKS):
        text = _without_spaces_around(TABLE, text)
        text = text.replace(CAPTION + " ", CAPTION).replace(TABLE + CAPTION, BLOCK)
        text = _without_spaces_around(COLUMNS, text)
        while TABLE + COLUMNS in text:
            text = text.replace(TABLE + COLUMNS, TABLE)
        if CAPTION in text or COLUMNS in text:
            return None
        text = _without_tables(text)
    for edge in (BLOCK, PARAGRAPH, INVISIBLE_BLOCK):
        text = _without_spaces_around(edge, text)
    text = text.replace(INLINE_BLOCK + " ", INLINE_BLOCK).replace(" " + INLINE_BLOCK_END, INLINE_BLOCK_END)
    return _without_edges(text)


def _without_spaces_around(mark: str, text: str) -> str:
    return text.replace(" " + mark, mark).replace(mark + " ", mark)


def _without_boxes(text: str) -> str:
    """Take out the marks of boxes."""
    for box in (PICTURE, INLINE_BLOCK, INLINE_BLOCK_END, INVISIBLE_BLOCK, UNSEEN_TEXT):
        text = text.replace(box, "")
    return text


def _without_tables(text: str) -> str:
    """Put line feeds between rows and tabs between cells: HTML standard §3.2.7, steps 6 and 7."""
    for mark in (ROW, CELL):
        text = _without_spaces_around(mark, text)
    return text.replace(ROW + CELL, ROW).replace(TABLE + ROW, BLOCK).replace(ROW, "\n").replace(TABLE, BLOCK)


def _without_edges(text: str) -> str:
    """Make each run of edges as many line feeds as its largest asks for, none at the edge of the body.

    A box that shows no text does not part a run of edges.
    """
    paragraphs = [[line for line in part.split(BLOCK) if _without_boxes(line)] for part in text.split(PARAGRAPH)]
    return "\n\n".join("\n".join(lines) for lines in paragraphs if lines)


def spaces_only(text: str) -> str:
    """Return the text with a space for every character that collapses."""
    return text.replace("\n", " ").replace("\t", " ").replace("\r", " ")


def collapse(text: str) -> str:
    """Return the text with one space for each run of spaces."""
    while "  " in text:
        text = text.replace("  ", " ")
    return text
