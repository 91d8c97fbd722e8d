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
    KEEPS_WHITE_SPACE,
    KEPT,
    NOT_RENDERED,
    PARAGRAPH,
    PICTURE,
    ROW,
    TABLE,
    WALK,
    Marks,
)
from worker.transform.parse import well_formed

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_ZERO_WIDTH_SPACE = "\u200b"
_BEFORE_KEPT_BREAK = KEPT["\n"] + " "

_marks = Marks()
_mark = _marks.__getitem__


def marked_text(html: str) -> str | None:
    """Return what the walk gives for a body within the caps, or None if the walk has to be asked."""
    if "\x00" in html or _ZERO_WIDTH_SPACE in html:
        return None
    if "<" not in html and "&" not in html:
        return _collapse(_spaces(well_formed(html))).strip(" ")
    canonical = _serialised(well_formed(html))
    if canonical is None:
        return None
    marked = _with_marks(canonical)
    if "&" not in marked:
        return _without_marks(marked)
    if WALK in marked:
        return None
    if NOT_RENDERED in marked or KEEPS_WHITE_SPACE in marked:
        resolved = _with_regions(canonical)
        return None if resolved is None else _decoded(_without_marks(resolved))
    return _decoded(_without_marks(marked))


def _serialised(html: str) -> str | None:
    """Return the body as balanced tags and text: no comment, no `<style>` or `<script>`.

    None where a style sheet may speak of text, and where something is serialised that could not be split:
    a form feed, or a `<` or `>` that does not belong to a tag.
    """
    tree = parse_fragment(html, positions=False)
    canonical = tree.inner_html
    if "<style" in canonical or "<script" in canonical:
        if any(mentions_text_property(style.text) for style in tree.select("style")):
            return None
        canonical = tree.remove("script, style").inner_html
    if "<!--" in canonical:
        canonical = _COMMENT.sub("", canonical)
    if "\f" in canonical or _ZERO_WIDTH_SPACE in canonical:
        return None
    return canonical if canonical.count("<") == canonical.count(">") else None


def _with_marks(canonical: str) -> str:
    """Return the body with its white space as spaces, and every tag as its mark."""
    parts = _spaces(canonical).replace(">", "<").split("<")
    parts[1::2] = map(_mark, parts[1::2])
    return "".join(parts)


def _with_regions(canonical: str) -> str | None:
    """Do the same where parts are cut out or keep their white space, whose ends have to be looked for.

    Serialised tags are balanced, so an element's end is where as many of its name have closed as opened.
    """
    parts = canonical.replace(">", "<").split("<")
    marked = [_spaces(parts[0])]
    cut, cut_depth = "", 0
    keeping, keeping_depth = "", 0
    for tag, text in zip(parts[1::2], parts[2::2], strict=True):
        name = tag.split(" ", 1)[0]
        if cut:
            cut_depth += (name == cut) - (name == f"/{cut}")
            if cut_depth:
                continue
            cut = ""
            marked.append(_kept(text) if keeping else _spaces(text))
            continue
        mark = _mark(tag)
        if mark == NOT_RENDERED:
            cut, cut_depth = name, 1
            continue
        if keeping:
            if mark in {TABLE, WALK} or (" style=" in tag and not mark.startswith(KEEPS_WHITE_SPACE)):
                return None
            keeping_depth += (name == keeping) - (name == f"/{keeping}")
            if not keeping_depth:
                keeping = ""
        elif mark.startswith(KEEPS_WHITE_SPACE):
            keeping, keeping_depth = name, 1
        # Serialised with a line feed more, the one that a parser drops behind the tag.
        shown = text.removeprefix("\n") if name in {"pre", "listing"} else text
        marked.extend((mark.removeprefix(KEEPS_WHITE_SPACE), _kept(shown) if keeping else _spaces(shown)))
    return None if cut or keeping else "".join(marked)


def _spaces(text: str) -> str:
    return text.replace("\n", " ").replace("\t", " ").replace("\r", " ")


def _kept(text: str) -> str:
    for space, reference in KEPT.items():
        text = text.replace(space, reference)
    return text


def _collapse(text: str) -> str:
    while "  " in text:
        text = text.replace("  ", " ")
    return text


def _without_marks(text: str) -> str:
    """Collapse the white space, take it off the ends of lines, and turn the marks into what they become."""
    text = _collapse(text).strip(" ")
    text = text.replace(_BEFORE_KEPT_BREAK, KEPT["\n"])
    for mark in (BLOCK, PARAGRAPH, BREAK):
        text = text.replace(" " + mark, mark).replace(mark + " ", mark)
    if TABLE in text:
        text = _without_tables(text)
    return _without_edges(text.replace(PICTURE, ""))


def _without_tables(text: str) -> str:
    """Put line feeds between rows and tabs between cells: HTML standard §3.2.7, steps 6 and 7."""
    for mark in (TABLE, ROW, CELL):
        text = text.replace(" " + mark, mark).replace(mark + " ", mark)
    return text.replace(ROW + CELL, ROW).replace(TABLE + ROW, BLOCK).replace(ROW, "\n").replace(TABLE, BLOCK)


def _without_edges(text: str) -> str:
    """Make each run of edges as many line feeds as its largest asks for, none at both ends."""
    text = text.strip(BLOCK + PARAGRAPH)
    while BLOCK + BLOCK in text:
        text = text.replace(BLOCK + BLOCK, BLOCK)
    text = text.replace(PARAGRAPH + BLOCK, PARAGRAPH).replace(BLOCK + PARAGRAPH, PARAGRAPH)
    while PARAGRAPH + PARAGRAPH in text:
        text = text.replace(PARAGRAPH + PARAGRAPH, PARAGRAPH)
    return text.replace(PARAGRAPH, "\n\n").replace(BLOCK, "\n")


def _decoded(text: str) -> str:
    """Write out the references, `&amp;` last: what it stands for begins no other."""
    for space, reference in KEPT.items():
        text = text.replace(reference, space)
    return text.replace("&nbsp;", "\xa0").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
