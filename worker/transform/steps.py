"""The texts and runs of a body without a parse: what a run of tags does where it stands, the parser was asked before.

In what letters are made of, tree construction (HTML standard §13.2.6) goes by the elements that are open and the tags
to come. So a run of tags met with certain elements open always comes to the same serialised run, and leaves the same
ones open. Both are asked of the parser, once, between two characters that stand for the texts around it. From then on a
body is read step by step.

What else a parser remembers is kept out. Formatting elements are opened again by later text where their end was not
written (§13.2.4.3 "The list of active formatting elements"): no step is taken in which the parser opens or closes other
ones than the tags say. Or formatting elements are left out altogether, where neither they nor what ends or nests
otherwise for them shows: that is so in most bodies, however badly they nest. Text in a table goes before it: its
character does not come out where it was put in. The other insertion modes follow from the open elements, but for
elements with which no step is taken. Style sheets are none: they are read apart, and what stands here of each is empty.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.entities import html5
from typing import TYPE_CHECKING, TypeAlias

from worker.transform.elements import BARE_ATTRIBUTES, OFFICE_PREFIXES, SVG_ELEMENTS
from worker.transform.formatting import (
    formatting_may_show,
    formatting_tags,
    goes_by_formatting,
    without_formatting,
)
from worker.transform.layout import NOT_PLAIN
from worker.transform.marks import INLINE, READ_ATTRIBUTES
from worker.transform.parse import parse_to_write
from worker.transform.runs import EDGE_TAGS, END, START, texts_and_runs, without_first_line_feeds
from worker.transform.stylesheet import EMPTY_SHEET

if TYPE_CHECKING:
    from worker.transform.runs import Runs

_NAMES = """
    a abbr acronym address area article aside b bdi bdo big blockquote body br button caption center cite code col
    colgroup dd del details dfn dialog dir div dl dt em fieldset figcaption figure font footer h1 h2 h3 h4 h5 h6 head
    header hgroup hr html i img input ins kbd label legend li main map mark menu meta nav nobr object ol
    optgroup option p pre q rp rt ruby s samp section select small span strike strong sub summary sup table tbody td
    textarea tfoot th thead time title tr tt u ul var video wbr xml
"""
_OFFICE_NAME = f"(?:{'|'.join(sorted(OFFICE_PREFIXES))}):[a-z]*+"
_NAME = "|".join([*_NAMES.split(), "svg", *sorted(SVG_ELEMENTS), _OFFICE_NAME])
_SPACE = r"[ \n\t\r]"
_VALUE = r"""=(?:"[^"<>]*+"|'[^'<>]*+'|[^ \n\t\r"'<>=`]++)"""
_BARE = "|".join(sorted(BARE_ATTRIBUTES))
_ATTRIBUTE = re.compile(rf"""{_SPACE}([^ \n\t\r"'<>=`/]++){_VALUE}(?={_SPACE}|/?>)""")
_READ = "|".join(sorted(READ_ATTRIBUTES))
# Whatever has another attribute than these may hold words of a message, which are not kept.
_KEPT_ATTRIBUTE = rf"{_SPACE}++(?:(?:{_READ}){_VALUE}|(?:{_BARE})(?={_SPACE}|/?>))"
_TAG = rf"</?(?:{_NAME})(?:{_KEPT_ATTRIBUTE})*{_SPACE}*/?>"
# Comments without words: an empty one, or what Office writes around what is for its own eyes.
_CONDITION = (
    r"<!---->|<!(?:--)?\[(?:if (?:[gl]te?|mso|ie|vml|support[a-z]++|[ !()|&0-9.])*|endif)\](?:--)?>|<!doctype html>"
)
_TAGS = re.compile(rf"{_SPACE}*(?:(?:{_TAG}|{_CONDITION}|{EMPTY_SHEET}){_SPACE}*)*", re.IGNORECASE | re.ASCII)
_NOTHING = f"<{EDGE_TAGS[INLINE]}>"  # written for tags that the parser ignores
_COMMENT = re.compile("<!--.*?-->", re.DOTALL)
# Comments, and what a parser takes for one or ignores: `<?xml … ?>`, `<!DOCTYPE …>`.
_NOT_SHOWN = re.compile(r"<!--[^<>]*-->|<[!?][a-z][^<>]*>", re.IGNORECASE)
_NO_TAG = re.compile(r"<(?![A-Za-z/!?])")
# Names of old are references without their semicolon too.
_OLD_NAMES = "|".join(sorted(name for name in html5 if not name.endswith(";")))
_NO_REFERENCE = re.compile(rf"&(?!#|[A-Za-z0-9]++;|{_OLD_NAMES})")
_TEXT = "\ue000"  # no tag that a step is taken with has it
_TEXT_AND_END_TAGS = re.compile(rf"{_TEXT}((?:</[^<>]+>)*)\Z")
# An `&`, except where it begins a finished reference that comes to no white space that collapses, or plainly none. The
# numbers leave out what parsers read unlike.
_OTHER_REFERENCE = re.compile(
    r"""
    &(?!
        (?: [a-z]{2,6}[0-9]{0,2} | \#39
          | \#(?:13[0-9] | 14[025-9] | 15[0-689] | 1[6-9][0-9] | [2-9][0-9]{2} | [1-9][0-9]{3})
          | \#(?:[1-5][0-9]{4} | 12[5-9][0-9]{3})
          | \#x(?:[2-9a-e][0-9a-f]{2,3} | 1f[0-9a-e][0-9a-f]{2})
        );
      | [,.]
    )
    """,
    re.VERBOSE,
)


Step: TypeAlias = "tuple[str, str, Open]"
"""A run as the parser writes it, what it comes to, and what is open behind it."""


@dataclass(slots=True)
class Open:
    """The elements that are open at a place, and the steps that are taken there.

    With runs that are `refused`, none is.
    """

    names: tuple[str, ...]
    steps: dict[str, Step] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)


class Known:
    """What runs come to, by the names of the elements that are open.

    Found out once, then kept for good. A few runs are asked about in one body, and none once it is full: what is not
    known by then is read with the parser. It can be found out as if there were no formatting elements.
    """

    MAX_KEPT = 8192
    MAX_ASKED = 20  # in one body
    MAX_CHARACTERS = 400
    MAX_DEPTH = 40

    def __init__(self, runs: Runs, *, leaves_out_formatting: bool = False) -> None:
        self.runs = runs
        self.leaves_out_formatting = leaves_out_formatting
        self.places: dict[tuple[str, ...], Open] = {}
        self._kept = 0
        self._asked = 0

    def at_start(self) -> Open:
        """Return the steps that are taken where nothing is open, for one more body."""
        self._asked = 0
        return self._where(())

    def step(self, there: Open, run: str) -> Step | None:
        """Return the step that a run is, or None if none is taken with it."""
        read = _ATTRIBUTE.sub(self._if_read, run)
        if read in there.steps:
            return there.steps[read]
        is_short = len(read) <= self.MAX_CHARACTERS and len(there.names) <= self.MAX_DEPTH
        if read in there.refused or not is_short or not _TAGS.fullmatch(_source(read)) or not self._may_ask():
            return None
        step = self._find_out(there, read)
        if step is None:
            there.refused.add(read)
        else:
            there.steps[read] = step
        return step

    def _if_read(self, attribute: re.Match[str]) -> str:
        return attribute[0] if attribute[1].lower() in READ_ATTRIBUTES else ""

    def _where(self, names: tuple[str, ...]) -> Open:
        if names not in self.places:
            self.places[names] = Open(names)
        return self.places[names]

    def _may_ask(self) -> bool:
        """Whether the parser is to be asked about one more run, which is counted."""
        if self._kept >= self.MAX_KEPT or self._asked >= self.MAX_ASKED:
            return False
        self._kept += 1
        self._asked += 1
        return True

    def _find_out(self, there: Open, run: str) -> Step | None:
        tags = f"<{run}".lower()
        has_list = "select" in tags or "select" in there.names
        if has_list and ("table" in tags or "table" in there.names):
            return None  # where parsers end it unlike
        if EMPTY_SHEET in tags and (has_list or "svg" in tags or "svg" in there.names):
            return None  # which read it unlike
        if self.leaves_out_formatting:
            if formatting_may_show(run, there.names):
                return None
            run = without_formatting(run)
        found = written_where_open(run, there.names)
        if found is None:
            return None
        written, names = found
        shown = self.runs[written]
        if self.leaves_out_formatting and shown == NOT_PLAIN and goes_by_formatting(self.runs.taken_apart(written)):
            return None
        return written, shown, self._where(names)


def stepped(html: str, *ways: Known) -> tuple[list[str], list[str]] | None:
    """Return a body's texts and runs in turn as if it were serialised, and the same as shown. None for the parser.

    The `ways` are tried one after the other. Texts have the references that they were written with. Takes a body
    without NUL, whose style sheets are empty.
    """
    if "\f" in html:
        return None  # white space of another kind
    if "\r" in html:
        html = html.replace("\r\n", "\n").replace("\r", "\n")
    if not ("& " in html or "< " in html or "<!-- " in html):
        found = _stepped(html, ways)
        if found is not None:
            return found
    plain = _plainly_written(html)
    return _stepped(plain, ways) if plain != html else None


def _plainly_written(html: str) -> str:
    """Return a body with empty comments, and with references for what only looks like markup."""
    html = _NOT_SHOWN.sub("<!---->", html)
    return _NO_REFERENCE.sub("&amp;", _NO_TAG.sub("&lt;", html))


def _stepped(html: str, ways: tuple[Known, ...]) -> tuple[list[str], list[str]] | None:
    parts = texts_and_runs(html)
    texts = "\x00".join(parts[::2])
    if "&" in texts and _OTHER_REFERENCE.search(texts):
        return None
    if ">" in texts:
        parts[::2] = texts.replace(">", "&gt;").split("\x00")
    for known in ways:
        found = _steps(parts, known)
        if found is not None:
            return found
    return None


def _steps(parts: list[str], known: Known) -> tuple[list[str], list[str]] | None:
    written, shown = parts[:], parts[:]
    there = known.at_start()
    for at in range(1, len(parts), 2):
        try:
            written[at], shown[at], there = there.steps[parts[at]]
        except KeyError:
            step = known.step(there, parts[at])
            if step is None:
                return None
            written[at], shown[at], there = step
    return written, shown


def written_where_open(run: str, names: tuple[str, ...]) -> tuple[str, tuple[str, ...]] | None:
    """Return how the parser writes a run where elements of these names are open, and the names of those behind it.

    Returns None where that depends on more than those names.
    """
    source, tags = f"<{run}", _source(run)
    is_first, is_last = source.startswith(START), source.endswith(END)
    before = "" if is_first else "".join(f"<{name}>" for name in names) + _TEXT
    canonical = parse_to_write(f"{before}{tags}{_TEXT}").inner_html
    end = _TEXT_AND_END_TAGS.search(canonical)
    if end is None or not canonical.startswith(before):
        return None
    written, end_tags = canonical[len(before) : end.start()], end[1]
    if _TEXT in written or formatting_tags(tags) != formatting_tags(written):
        return None
    if written.count(EMPTY_SHEET) != tags.count(EMPTY_SHEET):
        return None
    written = _COMMENT.sub("", without_first_line_feeds(written)).replace(EMPTY_SHEET, "")
    if is_first:
        written = START + written
    if is_last:
        written += end_tags + END
    behind = tuple(end_tags[2:-1].split("></")[::-1]) if end_tags else ()
    if not written.startswith("<"):
        written = _NOTHING + written
    return written[1:], behind


def _source(run: str) -> str:
    """Return a run without the edges of the body, which its parser is not shown."""
    return f"<{run}".removeprefix(START).removesuffix(END)
