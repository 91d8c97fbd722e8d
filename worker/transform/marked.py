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
from functools import lru_cache
from typing import TYPE_CHECKING

from turbohtml import parse_fragment

from worker.transform.marks import (
    BLOCK,
    BREAK,
    CAPTION,
    CELL,
    CLEAN_FIRST,
    INLINE_BLOCK,
    INLINE_BLOCK_END,
    PARAGRAPH,
    PICTURE,
    REGIONS,
    ROW,
    TABLE,
    WALK,
    Marks,
    marks_with,
)
from worker.transform.parse import well_formed
from worker.transform.regions import collapse, collapse_beside_kept, decoded, resolve_regions, spaces_only, without_kept
from worker.transform.stylesheet import SHORT_SHEETS_CHARACTERS, is_for_a_screen

if TYPE_CHECKING:
    from turbohtml import Element

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_FIRST_LINE_FEED = re.compile(r"(<(?:pre|listing)(?: [^<>]*)?>)\n")
_SUMMARY_FIRST = re.compile(r"(?: [^<>]*)?>[ \t\n\r\f]*<summary[ >]")
_SHOWN = ",".join(f"{tag}[{attribute}]" for tag in ("script", "style") for attribute in ("style", "class", "id"))
_WITH_ATTRIBUTES = ("<script ", "<style ")
_UNREADABLE = frozenset({CLEAN_FIRST, WALK})
_ZERO_WIDTH_SPACE = "\u200b"

_marks = Marks()
_marks_with = lru_cache(maxsize=64)(marks_with)


def marked_text(html: str) -> str | None:
    """Return what the walk gives for a body within the caps, or None if the walk has to be asked."""
    if "\x00" in html or _ZERO_WIDTH_SPACE in html:
        return None
    html = well_formed(html)
    if "<" not in html and "&" not in html:
        return collapse(spaces_only(html)).strip(" ")
    tree = parse_fragment(html, positions=False)
    canonical = _without_first_line_feeds(tree.inner_html)
    marks = _marks
    if "<!--" in canonical or "<style" in canonical or "<script" in canonical:
        styled = _marks_under_sheets(tree, canonical)
        if styled is None:
            return None
        marks = styled
        canonical = _cleaned(tree)
    if "<details" in canonical:
        without_closed = _without_closed_details(canonical)
        if without_closed is None:
            return None
        canonical = without_closed
    parts, kinds = _with_marks(canonical, marks)
    if not kinds.isdisjoint(_UNREADABLE):
        return None
    has_regions = not kinds.isdisjoint(REGIONS)
    if has_regions and not resolve_regions(canonical, parts, marks):
        return None
    written = "".join(parts)
    text = _without_marks(collapse_beside_kept(written) if has_regions else collapse(written), kinds)
    return None if text is None else decoded(without_kept(text) if has_regions else text)


def _with_marks(canonical: str, marks: Marks) -> tuple[list[str], set[str]]:
    """Return the body in parts, texts and tags in turn, and which marks there are.

    White space is written as spaces, every tag as its mark. A form feed in the text is one of the marks, and a zero
    width space decides about line feeds: for the walk. So is a `<` in a name, by which the splitting went wrong.
    """
    parts = spaces_only(canonical).replace(">", "<").split("<")
    parts[1::2] = found = list(map(marks.__getitem__, parts[1::2]))
    kinds = set(found)
    if len(parts) != 2 * canonical.count("<") + 1 or TABLE in canonical or _ZERO_WIDTH_SPACE in canonical:
        kinds.add(WALK)
    return parts, kinds


def _cleaned(tree: Element) -> str:
    """Serialise without comments, `<style>` and `<script>`."""
    # The line feeds first: behind a comment that is gone another would look like them.
    return _COMMENT.sub("", _without_first_line_feeds(tree.remove("script, style").inner_html))


def _without_closed_details(canonical: str) -> str | None:
    """Cut what each closed `details` hides: all behind its `summary`. None where that is not its first child.

    None too for one in another. Those that are open have the walk as their mark.
    """
    before, *pieces = canonical.split("<details")
    kept = [before]
    for piece in pieces:
        shown, _, rest = piece.partition("</summary>")
        _, end, behind = rest.partition("</details>")
        is_plain = end and "</details>" not in shown and shown.count("<summary") == 1
        if not is_plain or _SUMMARY_FIRST.match(shown) is None:
            return None
        kept.append(f"{shown}</summary></details>{behind}")
    return "<details".join(kept)


def _marks_under_sheets(tree: Element, canonical: str) -> Marks | None:
    """Return the marks under the body's style sheets; None for long ones, and where one may be in a template.

    None too where a style may be shown itself, or a script.
    """
    if any(tag in canonical for tag in _WITH_ATTRIBUTES) and tree.select_one(_SHOWN) is not None:
        return None
    styles = tuple(style.text for style in tree.select("style") if is_for_a_screen(style))
    if not styles:
        return _marks
    if sum(map(len, styles)) > SHORT_SHEETS_CHARACTERS or "<template" in canonical:
        return None
    return _marks_with(styles)


def _without_first_line_feeds(canonical: str) -> str:
    """Take off what is written behind `<pre>` where its text begins with a line feed: a parser drops the first."""
    return _FIRST_LINE_FEED.sub(r"\1", canonical) if "<pre" in canonical or "<listing" in canonical else canonical


def _without_marks(text: str, kinds: set[str]) -> str | None:
    """Take white space off the ends of lines, and turn the marks into what they become. None for the walk."""
    text = text.strip(" ")
    if BREAK in kinds:
        text = _without_spaces_around(BREAK, text)
    if TABLE in kinds:
        text = _without_spaces_around(TABLE, text)
        if CAPTION in kinds:
            text = text.replace(CAPTION + " ", CAPTION).replace(TABLE + CAPTION, BLOCK)
            if CAPTION in text:
                return None
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
    for mark in (ROW, CELL):
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
