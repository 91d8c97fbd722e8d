r"""What stands between two texts: a run of tags and white space, and what the reader sees of it.

The text of most bodies is its texts with something between them: nothing at a `<b>`, a line feed at a `<br>`, two at
the edges of a paragraph, a tab between cells. What that is depends on nothing but the run of tags from the one text to
the next, and on the white space in it and around it. Few runs are all that letters are made of, so what each comes to
is found out once, by its marks (`worker.transform.marks`), and looked up from then on.

A run is written as its tags with `&!` between them and `&_` for white space: in `a </b> <i>b` it is `&_&!/b&!&_&!i`.
The edges of the body are tags too. No tag or text has these: their `&` begins a reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.transform.marks import (
    BLOCK,
    BREAK,
    CAPTION,
    CELL,
    CLEAN_FIRST,
    INLINE,
    INLINE_BLOCK,
    INLINE_BLOCK_END,
    KEEPS_LINE_FEEDS,
    KEEPS_WHITE_SPACE,
    PARAGRAPH,
    PICTURE,
    REGIONS,
    ROW,
    TABLE,
    UNREAD,
    WALK,
)

if TYPE_CHECKING:
    from worker.transform.marks import Marks

NOT_PLAIN = "<"
"""What a run comes to that has to be looked at more closely. No text has it: there it is `&lt;`."""

_BODY, _BODY_END = "&^", "&$"
_NEXT, _SPACE = "&!", "&_"
_SPACE_ALONE = f"{_NEXT}{_SPACE}{_NEXT}"
_AFTER_SPACE, _BEFORE_SPACE = f"{_SPACE}>", f"<{_SPACE}"
# Tags of our own, written where a region began or ended (`worker.transform.regions`).
EDGE_TAGS = {INLINE: "&i", BLOCK: "&b", PARAGRAPH: "&p", INLINE_BLOCK: "&(", INLINE_BLOCK_END: "&)"}
# Written where white space is kept (`worker.transform.kept`).
KEPT_TAGS = {KEEPS_WHITE_SPACE: "&k", KEEPS_LINE_FEEDS: "&f"}
_OWN_TAGS = {
    "": "",
    **dict.fromkeys(KEPT_TAGS.values(), ""),
    _BODY: "",
    _BODY_END: "",
    _SPACE: " ",
    **{tag: mark for mark, tag in EDGE_TAGS.items()},
}
WHITE_SPACE = frozenset({"", _SPACE})
_FOR_OTHERS = REGIONS | {CLEAN_FIRST, WALK}
_TABLE_MARKS = frozenset({TABLE, CAPTION, ROW, CELL})
# Stands for the texts around a run: not white space, not a mark.
_TEXT = "x"


class Runs(dict[str, str]):
    """What runs of tags come to, under one style sheet. Found out once, then kept, as `Marks` keeps its tags."""

    MAX_KEPT = 4096
    MAX_CHARACTERS = 400

    def __init__(self, marks: Marks) -> None:
        super().__init__()
        self.marks = marks

    def shown(self, parts: list[str]) -> tuple[str, list[int]]:
        """Return the text of a body's texts and runs, references as they are, and where in them a run is not plain."""
        shown = parts.copy()
        shown[1::2] = found = list(map(self.__getitem__, parts[1::2]))
        text = "".join(shown)
        if NOT_PLAIN not in text:
            return text, []
        return text, [2 * number + 1 for number, run in enumerate(found) if run == NOT_PLAIN]

    def odd_tags(self, parts: list[str], odd: list[int]) -> list[str]:
        """Return the different tags because of which the runs at the `odd` places are not plain."""
        tags = dict.fromkeys(tags_of(_NEXT.join([parts[at] for at in odd])))
        return [tag for tag in tags if self.is_odd(tag)]

    def is_odd(self, tag: str) -> bool:
        """Whether a run with this tag is not plain."""
        return tag not in _OWN_TAGS and self.marks[tag] in _FOR_OTHERS

    def __missing__(self, run: str) -> str:
        """Find out what a run comes to."""
        if not self.marks.has_rules:
            read = UNREAD.sub("", run)
            if read != run:
                return self[read]
        tags = tags_of(run)
        found = [self.marks[tag] for tag in tags if tag not in _OWN_TAGS]
        text = NOT_PLAIN
        if _FOR_OTHERS.isdisjoint(found):
            marks = [_OWN_TAGS[tag] if tag in _OWN_TAGS else self.marks[tag] for tag in tags]
            text = _between(marks, text_before=tags[0] != _BODY, text_behind=tags[-1] != _BODY_END)
        if len(run) <= self.MAX_CHARACTERS and all(tag in _OWN_TAGS or tag in self.marks for tag in tags):
            if len(self) >= self.MAX_KEPT:
                self.clear()
            self[run] = text
        return text


def texts_and_runs(canonical: str) -> list[str] | None:
    """Return the texts of a serialised body and the runs between them in turn, an empty text at both ends.

    Returns None where a name has a `<` in it, which makes tags out of what is none.
    """
    spaced = collapse(spaces_only(f"<{_BODY}>{canonical}<{_BODY_END}>"))
    merged = spaced.replace("> ", _AFTER_SPACE).replace(" <", _BEFORE_SPACE).replace("><", _NEXT)
    parts = merged.replace(">", "<").split("<")
    return parts if len(parts) == 2 * merged.count("<") + 1 else None


def tags_of(run: str) -> list[str]:
    """Return the tags of a run, with one of our own for white space."""
    return run.replace(_SPACE, _SPACE_ALONE).split(_NEXT)


def run_of(tags: list[str]) -> str:
    """Return the run of these tags."""
    return _NEXT.join(tags).replace(_SPACE_ALONE, _SPACE)


def _between(marks: list[str], *, text_before: bool, text_behind: bool) -> str:
    """Return what marks and spaces come to between two texts, or at an edge of the body."""
    before, behind = _TEXT * text_before, _TEXT * text_behind
    text = _without_marks(collapse(f"{before}{''.join(marks)}{behind}"), set(marks))
    return NOT_PLAIN if text is None else text[len(before) : len(text) - len(behind)]


def _without_marks(text: str, kinds: set[str]) -> str | None:
    """Take white space off the ends of lines, and turn the marks into what they become. None for the walk."""
    text = text.strip(" ")
    if BREAK in kinds:
        text = _without_spaces_around(BREAK, text)
    if not kinds.isdisjoint(_TABLE_MARKS):
        text = _without_spaces_around(TABLE, text)
        text = text.replace(CAPTION + " ", CAPTION).replace(TABLE + CAPTION, BLOCK)
        if CAPTION in text:
            return None
        text = _without_tables(text)
    if kinds.isdisjoint({PICTURE, INLINE_BLOCK, INLINE_BLOCK_END}):
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


def spaces_only(text: str) -> str:
    """Return the text with a space for every character that collapses."""
    return text.replace("\n", " ").replace("\t", " ").replace("\r", " ")


def collapse(text: str) -> str:
    """Return the text with one space for each run of spaces."""
    while "  " in text:
        text = text.replace("  ", " ")
    return text
