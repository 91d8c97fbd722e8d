"""Text without a walk: what a body's tags mean is looked up, a run of them at a time.

The fast way for what most bodies are. Its parser (turbohtml) writes the tree out as the HTML standard's
fragment serialisation (§13.3): every element with its end tag, `<`, `>` and `&` in text and attributes as
references. So the texts can be had by splitting, and what the reader sees between two of them be looked up
(`worker.transform.runs`). What reaches further than from one text to the next is written out first: comments
and style sheets here, white space that is kept in `worker.transform.kept`, the rest in `worker.transform.regions`.

It gives what the walk gives, or None where the marks cannot say it. The walk
(`worker.transform.innertext.walked_text`) is the reference, and tests hold this against it.
"""

from __future__ import annotations

import re
from functools import lru_cache

from turbohtml import parse_fragment

from worker.transform.kept import (
    KEEPING,
    has_picture_at_kept_break,
    with_white_space_kept,
    without_spaces_at_kept_breaks,
)
from worker.transform.marks import CLEAN_FIRST, Marks, marks_with
from worker.transform.pieces import Pieces, pieces_of
from worker.transform.references import decoded
from worker.transform.regions import odd_runs, write_out_regions
from worker.transform.runs import NOT_PLAIN, Runs, collapse, laid_out, spaces_only, texts_and_runs
from worker.transform.stylesheet import SHORT_SHEETS_CHARACTERS, is_for_a_screen

_NOT_TEXT = re.compile(
    r"<!--.*?-->|<style(?P<style>(?: [^<>]*)?)>(?P<sheet>.*?)</style>"
    r"|<script(?P<script>(?: [^<>]*)?)>(?P<code>.*?)</script>",
    re.DOTALL,
)
_STARTS = ("<!--", "<style", "<script")
# Each may be without an end, which is looked for up to the end of the body.
_MANY_CHARACTERS = 4_000
_FEW_STARTS = 20
_MEDIA = re.compile(' media="([^"]*)"')
_STYLED = re.compile(r" (?:style|class|id)=")
_FIRST_LINE_FEED = re.compile(r"(<(?:pre|listing)(?: [^<>]*)?>)\n")
_ZERO_WIDTH_SPACE = "\u200b"

_runs = Runs(Marks())


@lru_cache(maxsize=64)
def _runs_with(sheets: tuple[str, ...]) -> Runs | None:
    """Return what runs come to under these `<style>` texts, or None if some rule depends on the parent."""
    marks = marks_with(sheets)
    return None if marks is None else Runs(marks)


def marked_text(html: str) -> str | None:
    """Return what the walk gives for a body within the caps, or None if the walk has to be asked."""
    if not _is_for_any_parser(html):
        return None
    if "<" not in html and "&" not in html:
        text: str | None = collapse(spaces_only(html)).strip(" ")
    else:
        canonical = parse_fragment(html, positions=False).inner_html
        # Nothing can be said of what stands in them. The single characters are found in a fraction of the time.
        if ("!" in canonical and "<!--" in canonical) or ("{" in canonical and "<style" in canonical):
            text = _text_without_unread(canonical)
        elif "\f" in canonical and "<table" in canonical:
            text = None  # it stands for itself between cells, where other white space does not
        else:
            parts = texts_and_runs(canonical)
            shown = _runs.shown(parts)
            text = "".join(shown)
            is_plain = NOT_PLAIN not in text
            text = decoded(laid_out(text)) if is_plain else _odd_text(canonical, Pieces(_runs, parts, shown))
    return None if text is None or _ZERO_WIDTH_SPACE in text else text


def _is_for_any_parser(html: str) -> bool:
    """Whether a body is without NUL and lone surrogates."""
    if html.isascii():
        return "\x00" not in html
    try:
        return b"\x00" not in html.encode()
    except UnicodeEncodeError:
        return False


def _text_without_unread(canonical: str) -> str | None:
    """Return the text of a body that has comments, scripts or style sheets, or None for the walk."""
    if len(canonical) > _MANY_CHARACTERS and sum(map(canonical.count, _STARTS)) > _FEW_STARTS:
        return None
    sheets: list[str] = []
    # The line feeds first: behind a comment that is gone another would look like them.
    cleaned = _NOT_TEXT.sub(lambda cut: _cut(cut, sheets), _without_first_line_feeds(canonical))
    if cleaned.count("<") != cleaned.count(">"):
        return None  # a name with a `<` in it looked like one of them
    runs = _runs_under(tuple(sheets), canonical) if sheets else _runs
    return None if runs is None else _odd_text(cleaned, pieces_of(cleaned, runs), is_clean=True)


def _cut(part: re.Match[str], sheets: list[str]) -> str:
    """Return what is written for a comment, `<style>` or `<script>`: nothing, and a sheet is added to the `sheets`.

    One that may be shown itself, by a style of its own, stays, for the walk. So does a script with a `<!--`, which may
    go on behind its `</script>` (HTML standard §13.2.5.26 "Script data double escape start state").
    """
    attributes, sheet = part["style"] or part["script"] or "", part["sheet"]
    if _STYLED.search(attributes) or "<!--" in (part["code"] or ""):
        return part[0]
    media = _MEDIA.search(attributes)
    if sheet is not None and is_for_a_screen(media and media[1]):
        sheets.append(sheet)
    return ""


def _odd_text(canonical: str, pieces: Pieces, *, is_clean: bool = False) -> str | None:
    """Return the text of a body that is not plain, or None for the walk."""
    runs, odd = pieces.runs, odd_runs(pieces)
    if odd is None:
        return None
    if not is_clean and any(CLEAN_FIRST in apart.marks for apart in odd):
        return _text_without_unread(canonical)
    keeps = any(not apart.marks.isdisjoint(KEEPING) for apart in odd)
    if keeps:
        tags = list(dict.fromkeys(apart.tags[place] for apart in odd for place in apart.odd))
        clean = canonical if is_clean else _without_first_line_feeds(canonical)
        kept = with_white_space_kept(clean, tags, runs.marks)
        if kept is None:
            return None
        pieces = pieces_of(kept, runs)
        if has_picture_at_kept_break(pieces.parts):
            return None
    if not write_out_regions(pieces):
        return None
    text = "".join(pieces.shown)
    if NOT_PLAIN in text:
        return None
    text = laid_out(text)
    return decoded(without_spaces_at_kept_breaks(text) if keeps else text)


def _runs_under(sheets: tuple[str, ...], canonical: str) -> Runs | None:
    """Return what runs come to under style sheets; None for long ones, and where one may be in a template."""
    if sum(map(len, sheets)) > SHORT_SHEETS_CHARACTERS or "<template" in canonical:
        return None
    return _runs_with(sheets)


def _without_first_line_feeds(canonical: str) -> str:
    """Take off what is written behind `<pre>` where its text begins with a line feed: a parser drops the first."""
    return _FIRST_LINE_FEED.sub(r"\1", canonical) if "<pre" in canonical or "<listing" in canonical else canonical
