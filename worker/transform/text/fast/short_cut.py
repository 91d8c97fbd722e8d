"""The fast way to a text: in most letters a tag means one character, or none.

The tree is written out as the HTML standard's fragment serialisation has it (§13.3): every element has its end tag,
and `<`, `>` and `&` in texts and attributes are references. So splitting gives texts and tags. Each tag becomes a mark
(`worker.transform.text.fast.marks`), and marks become text by replacing characters.

If a tag means more than a mark can say, the body is left to the walk (`worker.transform.text.innertext`). Property
tests compare the two. Without this folder every text is the same, but takes longer.
"""

from __future__ import annotations

import re

from turbohtml import unescape

from worker.transform.text.fast import marks
from worker.transform.text.fast.styled import marked_by_style
from worker.transform.text.whitespace import collapse

_NOT_TEXT = re.compile("<(?:!--|(style|script|title)((?: [^<>]*)?)>)")
_NOT_TEXT_STARTS = ("<!--", "<style", "<script", "<title")
_WRITTEN_WITH_LINE_FEED = tuple(f"<{name}" for name in marks.WITH_LINE_FEED)
_MOST_PARTS_THAT_ARE_NO_TEXT = 20  # each may be without an end, which is looked for up to the end of the body
_NEVER = "<!>"
"""A tag without a mark, which leaves the body to the walk."""


def fast_text(written: str) -> str | None:
    """Return the text of a body that is written as the standard has it, or None if only the walk can read it."""
    if any(map(written.__contains__, marks.NOT_IN_TEXTS)):
        return None
    tags, pieces = _split(written)
    text = "".join(pieces)
    if marks.WALK in text:
        tags, pieces = _split(_without_what_is_no_text(written))
        text = "".join(pieces)
    by_style = marks.BY_STYLE in text
    if by_style and marks.WALK not in text:
        is_clear = not any(map(written.__contains__, marks.ONLY_BY_STYLE))
        text = marked_by_style(tags, pieces[::2]) if is_clear else marks.WALK
    text = _laid_out(collapse(text), has_boxes=by_style or marks.BOX in text)
    if marks.WALK in text:
        return None
    return unescape(text) if "&" in text else text


def _split(written: str) -> tuple[list[str], list[str]]:
    """Return the tags, and the texts with the mark of each tag between them."""
    # Each tag goes up to its `>`. A name with a `<` in it leaves a piece without, which is no tag.
    pieces = written.replace(">", "><").split("<")
    tags = pieces[1::2]
    pieces[1::2] = map(marks.by_tag.__getitem__, tags)
    return tags, pieces


def _without_what_is_no_text(written: str) -> str:
    """Return a body without its comments, style sheets, scripts and titles, or `_NEVER` if that is not safe to do."""
    if sum(map(written.count, _NOT_TEXT_STARTS)) > _MOST_PARTS_THAT_ARE_NO_TEXT:
        return _NEVER
    if any(map(written.__contains__, _WRITTEN_WITH_LINE_FEED)):
        return _NEVER  # a line feed behind what is cut would become the first in it, and be dropped
    texts, at = [], 0
    while (start := _NOT_TEXT.search(written, at)) is not None:
        name, attributes = start[1], start[2] or ""
        content, ends, _ = written[start.end() :].partition(f"</{name}>" if name else "-->")
        if not ends or _is_for_the_walk(name, attributes, content):
            return _NEVER
        texts.append(written[at : start.start()])
        at = start.end() + len(content) + len(ends)
    return "".join((*texts, written[at:]))


def _is_for_the_walk(name: str | None, attributes: str, content: str) -> bool:
    """Tell whether a comment (`name` is None), style sheet, script or title may show text, or end somewhere else.

    Its own style may show it. A `<style` in it is an element if it is in a drawing. A script with a `<!--` may go on
    behind its `</script>` (HTML standard §13.2.5.26 "Script data double escape start state").
    """
    if name is None:
        return False
    return " style=" in attributes or "<style" in content or (name == "script" and "<!--" in content)


def _laid_out(text: str, *, has_boxes: bool) -> str:
    """Turn marks into what they become, without the spaces that do not show: HTML standard §3.2.7, CSS Text 3 §4.1."""
    if marks.BREAK in text:
        text = "\n".join([line.strip(" ") for line in text.split(marks.BREAK)])
    if marks.TABLE in text:
        text = _without_tables(text)
    if has_boxes:
        return _without_boxes(text)
    paragraphs = [_in_lines(part) if marks.BLOCK in part else part.strip(" ") for part in text.split(marks.PARAGRAPH)]
    return "\n\n".join([part for part in paragraphs if part])


def _without_tables(text: str) -> str:
    for mark in (marks.TABLE, marks.ROW, marks.CELL):
        text = text.replace(" " + mark, mark).replace(mark + " ", mark)
    text = text.replace(marks.ROW + marks.CELL, marks.ROW)
    if marks.CAPTION in text:
        text = _without_captions(text)
    text = text.replace(marks.TABLE + marks.ROW, marks.BLOCK)
    return text.replace(marks.TABLE, marks.BLOCK).replace(marks.ROW, "\n").replace(marks.CELL, "\t")


def _without_captions(text: str) -> str:
    """Turn captions into blocks, or into what is for the walk if one is not the first thing in its table."""
    text = text.replace(" " + marks.CAPTION, marks.CAPTION).replace(marks.CAPTION + " ", marks.CAPTION)
    if text.count(marks.CAPTION) != 2 * text.count(marks.TABLE + marks.CAPTION):
        return marks.WALK
    return text.replace(marks.CAPTION + marks.ROW, marks.BLOCK).replace(marks.CAPTION, marks.BLOCK)


def _in_lines(text: str) -> str:
    """Return what is between two edges of paragraphs, without the spaces at the edges of blocks."""
    return "\n".join([line for part in text.split(marks.BLOCK) if (line := part.strip(" "))])


def _without_boxes(text: str) -> str:
    """Return the lines of all paragraphs. A box that shows no text does not part a run of edges."""
    text = text.replace(marks.INSIDE + " ", marks.INSIDE).replace(" " + marks.OUTSIDE, marks.OUTSIDE)
    paragraphs = [
        "\n".join([line for part in paragraph.split(marks.BLOCK) if (line := part.strip(" ")).strip(marks.BOXES)])
        for paragraph in text.split(marks.PARAGRAPH)
    ]
    text = "\n\n".join(filter(None, paragraphs))
    for mark, written in marks.WRITTEN:
        text = text.replace(mark, written)
    return text
