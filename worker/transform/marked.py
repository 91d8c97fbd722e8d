"""Text without a walk: the tags of serialised HTML become marks, and the text is what is left of the marks.

The fast way for what most bodies are. Its parser (turbohtml) writes the tree out as the HTML standard's
fragment serialisation (§13.3): every element with its end tag, `<`, `>` and `&` in text and attributes as
references. So the text between two tags can be had by splitting, a tag's meaning looked up
(`worker.transform.marks` has the table), and what the walk does node by node is done on the whole string.

It gives what the walk gives, or None where the marks cannot say it. The walk
(`worker.transform.innertext.walked_text`) is the reference, and tests hold this against it.
"""

from __future__ import annotations

import re

from turbohtml import parse_fragment

from worker.transform.css import mentions_text_property
from worker.transform.marks import (
    BLOCK,
    BREAK,
    CELL,
    INLINE_BLOCK,
    INLINE_BLOCK_END,
    PARAGRAPH,
    PICTURE,
    REGIONS,
    ROW,
    TABLE,
    WALK,
    Marks,
)
from worker.transform.parse import well_formed
from worker.transform.regions import collapse, decoded, spaces_only, with_regions, without_kept

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
# Written behind these tags where the text begins with one: a parser drops the first.
_FIRST_LINE_FEED = re.compile(r"(<(?:pre|listing)(?: [^<>]*)?>)\n")
_ZERO_WIDTH_SPACE = "\u200b"

_marks = Marks()
_mark = _marks.__getitem__


def marked_text(html: str) -> str | None:
    """Return what the walk gives for a body within the caps, or None if the walk has to be asked."""
    if "\x00" in html or _ZERO_WIDTH_SPACE in html:
        return None
    html = well_formed(html)
    if "<" not in html and "&" not in html:
        return collapse(spaces_only(html)).strip(" ")
    canonical = _serialised(html)
    if canonical is None:
        return None
    parts = spaces_only(canonical).replace(">", "<").split("<")
    if len(parts) != 2 * canonical.count("<") + 1:
        return None  # a `<` that is part of a name
    parts[1::2] = marks = list(map(_mark, parts[1::2]))
    kinds = set(marks)
    if WALK in kinds:
        return None
    if kinds.isdisjoint(REGIONS):
        return decoded(_without_marks("".join(parts), kinds))
    resolved = with_regions(canonical, _mark)
    return None if resolved is None else decoded(without_kept(_without_marks(resolved, kinds)))


def _serialised(html: str) -> str | None:
    """Return the body as balanced tags and text: no comment, no `<style>` or `<script>`.

    None where a style sheet may speak of text, and where there is a form feed, which is one of the marks.
    """
    tree = parse_fragment(html, positions=False)
    canonical = tree.inner_html
    if "<s" in canonical and ("<style" in canonical or "<script" in canonical):
        if any(mentions_text_property(style.text) for style in tree.select("style")):
            return None
        canonical = tree.remove("script, style").inner_html
    if "<pre" in canonical or "<listing" in canonical:
        canonical = _FIRST_LINE_FEED.sub(r"\1", canonical)
    if "<!--" in canonical:
        canonical = _COMMENT.sub("", canonical)
    return None if "\f" in canonical or _ZERO_WIDTH_SPACE in canonical else canonical


def _without_marks(text: str, kinds: set[str]) -> str:
    """Collapse the white space, take it off the ends of lines, and turn the marks into what they become."""
    text = collapse(text).strip(" ")
    if BREAK in kinds:
        text = _without_spaces_around(BREAK, text)
    if TABLE in kinds:
        text = _without_tables(text)
    if kinds.isdisjoint({PICTURE, INLINE_BLOCK}):
        return _without_edges(text, spaces=" ")
    for edge in (BLOCK, PARAGRAPH):
        text = _without_spaces_around(edge, text)
    text = text.replace(INLINE_BLOCK + " ", INLINE_BLOCK).replace(" " + INLINE_BLOCK_END, INLINE_BLOCK_END)
    for mark in (PICTURE, INLINE_BLOCK, INLINE_BLOCK_END):
        text = text.replace(mark, "")
    return _without_edges(text, spaces="")


def _without_spaces_around(mark: str, text: str) -> str:
    return text.replace(" " + mark, mark).replace(mark + " ", mark)


def _without_tables(text: str) -> str:
    """Put line feeds between rows and tabs between cells: HTML standard §3.2.7, steps 6 and 7."""
    for mark in (TABLE, ROW, CELL):
        text = _without_spaces_around(mark, text)
    return text.replace(ROW + CELL, ROW).replace(TABLE + ROW, BLOCK).replace(ROW, "\n").replace(TABLE, BLOCK)


def _without_edges(text: str, spaces: str) -> str:
    """Make each run of edges as many line feeds as its largest asks for, none at both ends.

    `spaces` beside them go too; beside a picture that was there they stay, and it is empty.
    """
    if PARAGRAPH in text:
        around = BLOCK + spaces
        text = "\n\n".join([line for part in text.split(PARAGRAPH) if (line := part.strip(around))])
    if BLOCK in text:
        text = "\n".join([line for part in text.split(BLOCK) if (line := part.strip(spaces) if spaces else part)])
    return text
