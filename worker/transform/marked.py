"""Text without a walk: what a body's tags mean is looked up, a run of them at a time.

This is the fast way for most bodies. Its parser (turbohtml) writes the tree out as the HTML standard's fragment
serialisation (§13.3): every element has its end tag, and `<`, `>` and `&` in texts and attributes are references. So
splitting gives the texts, and what the reader sees between two texts is looked up (`worker.transform.runs`).
Some things reach further than from one text to the next. They are written out first: comments and style sheets here,
the rest in `worker.transform.regions`.

The result is the same as the walk's, or None where the marks cannot express it. The walk
(`worker.transform.innertext.walked_text`) is the reference, and property tests compare the two.
"""

from __future__ import annotations

import re

from worker.transform.chains import write_out_chains
from worker.transform.kept import without_spaces_at_kept_breaks
from worker.transform.layout import MARK, NOT_PLAIN, collapse, laid_out, spaces_only, without_marks
from worker.transform.marks import Marks
from worker.transform.parse import parse_to_write
from worker.transform.pieces import Pieces
from worker.transform.references import decoded
from worker.transform.regions import write_out_regions
from worker.transform.runs import Runs, without_first_line_feeds
from worker.transform.stylesheet import has_rules_about_text, with_plain_rules_inlined

_NOT_TEXT = re.compile(
    r"<!--.*?-->|<style(?P<style>(?: [^<>]*)?)>.*?</style>"
    r"|<script(?P<script>(?: [^<>]*)?)>(?P<code>.*?)</script>",
    re.DOTALL,
)
_STARTS = ("<!--", "<style", "<script")
# Each may be without an end, which is looked for up to the end of the body.
_MANY_CHARACTERS = 4_000
_FEW_STARTS = 20
_STYLED = " style="
_ZERO_WIDTH_SPACE = "\u200b"

_runs = Runs(Marks())


def marked_text(html: str) -> str | None:
    """Return what the walk gives for a body, or None if the walk has to be asked."""
    if not _is_for_any_parser(html):
        return None
    if "<" not in html and "&" not in html:
        text: str | None = collapse(spaces_only(html)).strip(" ")
    elif "{" in html and has_rules_about_text(html):
        text = _text_under_rules(html)
    else:
        text = _text_of_canonical(parse_to_write(html).inner_html)
    return _without_zero_width(text)


def _without_zero_width(text: str | None) -> str | None:
    return None if text is None or _ZERO_WIDTH_SPACE in text else text


def _text_under_rules(html: str) -> str | None:
    """Return the text of a body whose style sheets text depends on, or None for the walk."""
    canonical = with_plain_rules_inlined(html)
    return None if canonical is None else _text_of_canonical(canonical)


def _is_for_any_parser(html: str) -> bool:
    """Whether a body is without NUL and lone surrogates."""
    if html.isascii():
        return "\x00" not in html
    try:
        return b"\x00" not in html.encode()
    except UnicodeEncodeError:
        return False


def _text_of_canonical(canonical: str) -> str | None:
    """Return the text of a body as its parser has written it, or None for the walk."""
    if "\f" in canonical and "<table" in canonical:
        return None  # it stands for itself between cells, where other white space does not
    if "<select" in canonical and any(map(canonical.__contains__, ("<style", "<script", "<table"))):
        return None  # options may show their words; parsers end a list of options unlike in a table
    canonical = without_first_line_feeds(canonical)
    if "<!--" not in canonical and "<style" not in canonical and "<script" not in canonical:
        return _text(*_runs.read(canonical))
    if len(canonical) > _MANY_CHARACTERS and sum(map(canonical.count, _STARTS)) > _FEW_STARTS:
        return None
    cleaned = _NOT_TEXT.sub(_cut, canonical)
    if cleaned.count("<") != cleaned.count(">"):
        return None  # a name with a `<` in it looked like one of them
    return _text(*_runs.read(cleaned))


def _cut(part: re.Match[str]) -> str:
    """Return what is written for a comment, `<style>` or `<script>`: nothing.

    One that may be shown itself, by a style of its own, stays, for the walk. So does a script with a `<!--`, which may
    go on behind its `</script>` (HTML standard §13.2.5.26 "Script data double escape start state"), and one with a
    `<style`, which in a drawing is an element.
    """
    attributes, code = part["style"] or part["script"] or "", part["code"] or ""
    return part[0] if _STYLED in attributes or "<!--" in code or "<style" in code else ""


def _text(parts: list[str], shown: list[str]) -> str | None:
    """Return the text of a body by its texts and runs, or None for the walk."""
    text = "".join(shown)
    odd_text = _odd_text(Pieces(_runs, parts, shown)) if NOT_PLAIN in text else None
    _runs.marks.of_this_body.clear()
    if NOT_PLAIN in text:
        return odd_text
    return decoded(without_marks(laid_out(text)) if MARK in text else laid_out(text))


def _odd_text(pieces: Pieces) -> str | None:
    """Return the text of a body that is not plain, or None for the walk."""
    if not (write_out_chains(pieces) or write_out_regions(pieces)):
        return None
    text = without_marks(laid_out("".join(pieces.shown)))
    if MARK in text:
        return None
    return decoded(without_spaces_at_kept_breaks(text) if pieces.keeps else text)
