"""The texts and runs of a body without a parse: what a run of tags does where it stands, the parser was asked before.

In what letters are made of, tree construction (HTML standard §13.2.6) goes by the elements that are open and the tags
to come. So a run of tags met with certain elements open always comes to the same serialised run, and leaves the same
ones open. Both are asked of the parser, once, between two characters that stand for the texts around it. From then on a
body is read step by step.

What else a parser remembers is kept out. Formatting elements are opened again by later text where their end was not
written (§13.2.4.3 "The list of active formatting elements"): no step is taken in which the parser opens or closes other
ones than the tags say. Text in a table goes before it: its character does not come out where it was put in. The other
insertion modes follow from the open elements, but for elements with which no step is taken.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from turbohtml import parse_fragment

from worker.transform.elements import OFFICE_PREFIXES
from worker.transform.marks import INLINE, READ_ATTRIBUTES
from worker.transform.runs import EDGE_TAGS, END, START, texts_and_runs, without_first_line_feeds

if TYPE_CHECKING:
    from worker.transform.runs import Runs

_NAMES = """
    a abbr address article aside b bdi bdo big blockquote body br caption center cite code col colgroup dd del details
    dfn div dl dt em fieldset figcaption figure font footer h1 h2 h3 h4 h5 h6 head header hr html i img input ins kbd
    label legend li main mark meta nav o:p ol p pre q s samp section small span strike strong sub summary sup table
    tbody td textarea tfoot th thead time title tr tt u ul var wbr xml
"""
_NAME = "|".join(_NAMES.split())
_READ = "|".join(sorted(READ_ATTRIBUTES))
_SPACE = r"[ \n\t\r]"
_VALUE = r"""=(?:"[^"<>]*+"|'[^'<>]*+'|[^ \n\t\r"'<>=`]++)"""
_BARE = "checked|disabled|hidden|noshade|nowrap|open"
_ATTRIBUTE = re.compile(rf"""{_SPACE}([^ \n\t\r"'<>=`/]++){_VALUE}(?={_SPACE}|/?>)""")
# Whatever has another attribute than these may hold words of a message, which are not kept.
_TAG = rf"</?(?:{_NAME})(?:{_SPACE}++(?:(?:{_READ}){_VALUE}|(?:{_BARE})(?={_SPACE}|/?>)))*{_SPACE}*/?>"
# What Office writes around what is for its own eyes: a comment, or nothing.
_CONDITION = r"<!(?:--)?\[(?:if (?:[gl]te?|mso|ie|vml|support[a-z]++|[ !()|&0-9.])*|endif)\](?:--)?>"
_OFFICE_NAME = rf"</?(?:{'|'.join(sorted(OFFICE_PREFIXES))}):[a-z]*+/?>"
_TAGS = re.compile(rf"{_SPACE}*(?:(?:{_TAG}|{_OFFICE_NAME}|{_CONDITION}){_SPACE}*)*", re.IGNORECASE | re.ASCII)
_NOTHING = f"<{EDGE_TAGS[INLINE]}>"  # written for tags that the parser ignores
_COMMENT = re.compile("<!--.*?-->", re.DOTALL)
_FORMATTING = re.compile(r"</?(?:a|b|big|code|em|font|i|s|small|strike|strong|tt|u)(?=[ \n\t\r/>])")
_TEXT = "\ue000"  # no tag that a step is taken with has it
_TEXT_AND_END_TAGS = re.compile(rf"{_TEXT}((?:</[^<>]+>)*)\Z")
# An `&`, except where it begins a finished reference that comes to no white space that collapses, or plainly none. The
# numbers leave out what parsers read unlike.
_OTHER_REFERENCE = re.compile(
    r"""
    &(?!
        (?: [a-z]{2,6}[0-9]{0,2} | \#39
          | \#(?:1[6-9][0-9] | [2-9][0-9]{2} | [1-9][0-9]{3} | [1-5][0-9]{4} | 12[5-9][0-9]{3})
          | \#x(?:[2-9a-e][0-9a-f]{2,3} | 1f[0-9a-e][0-9a-f]{2})
        );
      | [,.]
    )
    """,
    re.VERBOSE,
)


class Step(NamedTuple):
    """A run as the parser writes it, what it comes to, and what runs come to behind it."""

    run: str
    shown: str
    behind: Open


class Open(dict[str, "Step | None"]):
    """What runs come to where elements of certain `names` are open. None for a run with which no step is taken."""

    MAX_CHARACTERS = 400
    MAX_DEPTH = 40

    def __init__(self, names: tuple[str, ...], known: Known) -> None:
        super().__init__()
        self._names = names
        self._known = known

    def __missing__(self, run: str) -> Step | None:
        """Find out what a run comes to."""
        read = _ATTRIBUTE.sub(_if_read, run)
        if read in self:
            return self[read]
        is_short = len(read) <= self.MAX_CHARACTERS and len(self._names) <= self.MAX_DEPTH
        if not is_short or not _TAGS.fullmatch(_source(read)) or not self._known.may_ask():
            return None
        written = written_where_open(read, self._names)
        step = None
        if written is not None:
            step = Step(written[0], self._known.runs[written[0]], self._known[written[1]])
        self[read] = step
        return step


class Known(dict[tuple[str, ...], Open]):
    """What runs come to, by the names of the elements that are open.

    Found out once, then kept for good. A few runs are asked about in one body, and none once it is full: what is not
    known by then is read with the parser.
    """

    MAX_KEPT = 8192
    MAX_ASKED = 20  # in one body

    def __init__(self, runs: Runs) -> None:
        super().__init__()
        self.runs = runs
        self._kept = 0
        self._asked = 0

    def __missing__(self, names: tuple[str, ...]) -> Open:
        """Begin with nothing known."""
        self[names] = found = Open(names, self)
        return found

    def at_start(self) -> Open:
        """Return what runs come to where nothing is open, for one more body."""
        self._asked = 0
        return self[()]

    def may_ask(self) -> bool:
        """Whether the parser is to be asked about one more run, which is counted."""
        if self._kept >= self.MAX_KEPT or self._asked >= self.MAX_ASKED:
            return False
        self._kept += 1
        self._asked += 1
        return True


def stepped(html: str, known: Known) -> tuple[list[str], list[str]] | None:
    """Return a body's texts and runs in turn as if it were serialised, and the same as shown. None for the parser.

    Texts have the references that they were written with. Takes a body without NUL.
    """
    if "{" in html or "\f" in html or ("!" in html and "<!-- " in html):
        return None  # a style sheet, white space of another kind, or a comment with words
    if "\r" in html:
        html = html.replace("\r\n", "\n").replace("\r", "\n")
    parts = texts_and_runs(html)
    texts = "\x00".join(parts[::2])
    if ">" in texts:
        return None
    if "&" in texts and _OTHER_REFERENCE.search(texts):
        # A space behind it may not show, and what follows that is no part of a reference.
        return stepped(html.replace("& ", "&amp; "), known) if "& " in html else None
    shown = parts[:]
    steps = known.at_start()
    for at in range(1, len(parts), 2):
        step = steps[parts[at]]
        if step is None:
            return None
        parts[at], shown[at], steps = step
    return parts, shown


def written_where_open(run: str, names: tuple[str, ...]) -> tuple[str, tuple[str, ...]] | None:
    """Return how the parser writes a run where elements of these names are open, and the names of those behind it.

    Returns None where that depends on more than those names.
    """
    source, tags = f"<{run}", _source(run)
    is_first, is_last = source.startswith(START), source.endswith(END)
    before = "" if is_first else "".join(f"<{name}>" for name in names) + _TEXT
    canonical = parse_fragment(f"{before}{tags}{_TEXT}", positions=False).inner_html
    end = _TEXT_AND_END_TAGS.search(canonical)
    if end is None or not canonical.startswith(before):
        return None
    written, end_tags = canonical[len(before) : end.start()], end[1]
    if _TEXT in written or _FORMATTING.findall(tags.lower()) != _FORMATTING.findall(written):
        return None
    written = without_first_line_feeds(_COMMENT.sub("", written))
    if is_first:
        written = START + written
    if is_last:
        written += end_tags + END
    behind = tuple(end_tags[2:-1].split("></")[::-1]) if end_tags else ()
    if not written.startswith("<"):
        written = _NOTHING + written
    return written[1:], behind


def _if_read(attribute: re.Match[str]) -> str:
    return attribute[0] if attribute[1].lower() in READ_ATTRIBUTES else ""


def _source(run: str) -> str:
    """Return a run without the edges of the body, which its parser is not shown."""
    return f"<{run}".removeprefix(START).removesuffix(END)
