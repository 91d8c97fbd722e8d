"""White space along one inline formatting context: CSS Text 3 §4.1 "The white space processing rules"."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TypeAlias

SPACES = " \t\n\r"
"""The characters that collapse."""

_COLLAPSIBLE = re.compile(r"[ \t\n\r]+")
_COLLAPSIBLE_NOT_BREAK = re.compile(r"[ \t\r]+")
_AROUND_BREAK = re.compile(r" ?\n ?")
# A letter goes on a word also behind an apostrophe, a soft hyphen, a combining mark, or two of these.
_IN_WORD = re.compile(r"\w")
_BETWEEN = r"['’\u00ad\u0300-\u036f]"
_WORD_START = re.compile(rf"(?<!\w)(?<!\w{_BETWEEN})(?<!\w{_BETWEEN}{{2}})([^\W\d_])")
_ZERO_WIDTH_SPACE = "\u200b"
_REMOVED_BREAK = re.compile(
    r"(?<=\u200b)[ \t\r]*+\n[ \t\n\r]*+|(?<![ \t\n\r])[ \t\r]*+\n[ \t\n\r]*+(?=\u200b)"
)  # beside a zero width space


# The items of the rendered text collection steps: strings, and required line break counts.
Results: TypeAlias = list[str | int]
_LINE_BREAKS = ("", "\n", "\n\n")


class InlineFlow:
    """The state of one inline formatting context: whether the next collapsible space shows or vanishes.

    A space at the end of what is known so far is written at once, and taken back if the line ends after it.
    """

    __slots__ = ("_last", "_results", "_space_at", "_space_had_break", "_space_text", "_starts_line")

    def __init__(self, results: Results) -> None:
        self._results = results
        self._starts_line = True
        self._space_at: int | None = None
        self._space_text = ""  # whose end the space is
        self._space_had_break = False  # or what followed, of which nothing shows
        self._last = ""

    @property
    def last(self) -> str:
        """The character right before the next text, or nothing."""
        return "" if self._starts_line or self._space_at is not None else self._last

    def add(self, text: str, white_space: str, *, visible: bool) -> None:
        """Append what is shown of a text node's data. Invisible text takes up room, but is not written."""
        at = len(self._results)
        if white_space in {"normal", "nowrap"}:
            self.add_collapsed(text)
        else:
            self._add_kept(text, white_space)
        if not visible and at < len(self._results):
            self._results[at] = ""

    def add_collapsed(self, text: str) -> None:
        """Append what collapsing leaves of a text node's data under `white-space: normal`."""
        rendered = self._collapse(text) if "\n" in text else collapse(text)
        if rendered[:1] == " " or self._space_at is not None:
            rendered = self._join(rendered, text)
        if not rendered:
            return
        self._results.append(rendered)
        self._starts_line = False
        if rendered[-1] == " ":
            self._end_in_space(rendered, text)
        else:
            self._space_at = None
            self._last = rendered[-1]

    def _add_kept(self, text: str, white_space: str) -> None:
        rendered = text
        if white_space == "pre-line":
            rendered = self._join(_AROUND_BREAK.sub("\n", _COLLAPSIBLE_NOT_BREAK.sub(" ", text)), text)
            if rendered[:1] == "\n":
                self._take_back_space()
        if not rendered:
            return
        self._results.append(rendered)
        self._starts_line = rendered[-1] == "\n"
        if rendered[-1] == " " and white_space == "pre-line":
            self._end_in_space(rendered, text)
        else:
            self._space_at = None
            self._last = rendered[-1]

    def _end_in_space(self, rendered: str, text: str) -> None:
        self._space_at = len(self._results) - 1
        self._space_text = text
        self._space_had_break = False
        self._last = rendered[-2:-1] or self._last

    def end_line(self) -> None:
        """End the line, at a forced break or a block's edge: the space before it is dropped, and so is any after it."""
        if self._space_at is not None:
            self._take_back_space()
        self._starts_line = True
        self._last = ""

    def pass_box(self, last: str = "") -> None:
        """Pass an atomic inline (picture, inline-block): spaces on both of its sides show. It ends in `last`."""
        self._space_at = None
        self._starts_line = False
        self._last = last if last.isalnum() else "\ufffc"  # a word may go on; a break is not removed beside the box

    def _collapse(self, text: str) -> str:
        """Make runs of collapsible white space one space, or nothing where a break is removed (§4.1.3)."""
        if _ZERO_WIDTH_SPACE not in text and self._last != _ZERO_WIDTH_SPACE:
            return collapse(text)
        start = _COLLAPSIBLE.match(text)
        head, body = (start.group(), text[start.end() :]) if start else ("", text)
        if head:
            # Joined to the run before it, which decides with it; or the first of its line.
            removed = self._space_at is None and "\n" in head and break_is_removed(self._last, body[:1])
            head = "" if removed else " "
        return head + collapse(_REMOVED_BREAK.sub("", body))

    def _join(self, rendered: str, text: str) -> str:
        """Drop a leading space that follows a line start or another collapsible space."""
        if rendered[:1] == " " and (self._starts_line or self._space_at is not None):
            self._space_had_break |= "\n" in text[: len(text) - len(text.lstrip(SPACES))]
            rendered = rendered[1:]
        if self._space_at is not None and rendered and break_is_removed(self._last, rendered[0]):
            self._space_had_break |= "\n" in self._space_text[len(self._space_text.rstrip(SPACES)) :]
            if self._space_had_break:
                self._take_back_space()
        return rendered

    def _take_back_space(self) -> None:
        if self._space_at is not None:
            item = self._results[self._space_at]
            if isinstance(item, str):
                self._results[self._space_at] = item[:-1]
            self._space_at = None


def collapse(text: str) -> str:
    """Return the text with one space for each run of white space."""
    if "\n" in text:
        text = text.replace("\n", " ")
    if "\t" in text:
        text = text.replace("\t", " ")
    if "\r" in text:
        text = text.replace("\r", " ")
    while "  " in text:
        text = text.replace("  ", " ")
    return text


def break_is_removed(before: str, after: str) -> bool:
    """Whether a line break between two characters ("" at an edge) vanishes instead of becoming a space.

    Beside a zero width space. Removing it between East Asian characters too is left to the browser by §4.1.3;
    Chromium does not.
    """
    return _ZERO_WIDTH_SPACE in (before, after)


def transform_case(text: str, text_transform: str, before: str = "") -> str:
    """Apply `text-transform` (CSS Text 3 §2.1). A word that goes on from `before` is not capitalized again."""
    if text_transform == "uppercase":
        return text.upper()
    if text_transform == "lowercase":
        return text.lower()
    if text_transform == "capitalize":
        begun = before if _IN_WORD.fullmatch(before) else ""
        pieces = _WORD_START.split(begun + text)
        pieces[1::2] = map(_title, pieces[1::2])
        return "".join(pieces)[len(begun) :]
    return text


@lru_cache(maxsize=4096)
def _title(letter: str) -> str:
    """Return the letter in title case, unless that takes two (ß, ﬁ)."""
    title = letter.title()
    return title if len(title) == 1 else letter


def join(results: Results) -> str:
    """Turn the items into text: HTML standard §3.2.7, getting steps 4 to 6.

    Empty strings are dropped, and so are required line breaks at both ends. Each remaining run of those becomes as
    many line feeds as its largest count.
    """
    text: list[str] = []
    required = 0
    for item in results:
        if isinstance(item, str):
            if item:
                if required:
                    text.append(_LINE_BREAKS[required] if text else "")
                    required = 0
                text.append(item)
        elif item > required:
            required = item
    return "".join(text)
