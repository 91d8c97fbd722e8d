"""Parts of a body that reach up to an end tag which has to be found: what is hidden, or shown in another way.

They are written out in a body's texts and runs (`worker.transform.runs`). Serialised tags are balanced, so the end of
an element is the end tag that closes all of its name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from worker.transform.boxes import drawn_texts, items, options
from worker.transform.kept import KEPT_REFERENCE, has_picture_at_kept_break, kept_in_texts
from worker.transform.layout import NOT_PLAIN
from worker.transform.marks import (
    ANOTHER_DISPLAY,
    CLOSED,
    DRAWING,
    EDGES,
    INLINE,
    INLINE_BLOCK,
    INLINE_BLOCK_END,
    INVISIBLE,
    INVISIBLE_BLOCK,
    ITEMS,
    KEEPS_LINE_FEEDS,
    KEEPS_WHITE_SPACE,
    NOT_RENDERED,
    OPTIONS,
    PICTURE,
    REPLACED,
    UNSEEN,
    UNSEEN_TEXT,
    UPPER_CASE,
    VOID,
)
from worker.transform.references import in_upper_case
from worker.transform.runs import EDGE_TAGS, run_of, split, written

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.transform.marks import Marks
    from worker.transform.pieces import Pieces


class _Region(NamedTuple):
    """A kind of region, and the tags that are written where it begins and ends."""

    kind: str
    start: str
    end: str


_REGIONS = {
    NOT_RENDERED: _Region(NOT_RENDERED, EDGE_TAGS[INLINE], EDGE_TAGS[INLINE]),
    INVISIBLE: _Region(INVISIBLE, EDGE_TAGS[INVISIBLE_BLOCK], ""),
    REPLACED: _Region(REPLACED, EDGE_TAGS[PICTURE], ""),
    UNSEEN: _Region(UNSEEN, EDGE_TAGS[UNSEEN_TEXT], ""),
    DRAWING: _Region(DRAWING, EDGE_TAGS[INLINE_BLOCK], EDGE_TAGS[INLINE_BLOCK_END]),
    OPTIONS: _Region(OPTIONS, EDGE_TAGS[INLINE_BLOCK], EDGE_TAGS[INLINE_BLOCK_END]),
    INLINE_BLOCK: _Region(INLINE_BLOCK, EDGE_TAGS[INLINE_BLOCK], EDGE_TAGS[INLINE_BLOCK_END]),
    **{
        kind + edge: _Region(kind, EDGE_TAGS[edge], EDGE_TAGS[edge])
        for kind in (UPPER_CASE, ANOTHER_DISPLAY, CLOSED, ITEMS, KEEPS_WHITE_SPACE, KEEPS_LINE_FEEDS)
        for edge in EDGES
    },
}
_KEEPING = frozenset(kind + edge for kind in (KEEPS_WHITE_SPACE, KEEPS_LINE_FEEDS) for edge in EDGES)
_ITEMS = frozenset(ITEMS + edge for edge in EDGES)
# They may be as pictures (`has_picture_at_kept_break`), or have their own ways with white space.
_NOT_WHERE_IT_IS_KEPT = frozenset({INLINE_BLOCK, DRAWING, OPTIONS, REPLACED, UNSEEN}) | _ITEMS
_REWRITTEN = _KEEPING | _ITEMS | {UPPER_CASE + edge for edge in EDGES}
_SPACES = frozenset({"", " ", "\n", "\t", "\r"})
_CUT = frozenset({NOT_RENDERED, INVISIBLE, REPLACED, UNSEEN})
# HTML standard §13.2.6.4: raw text, foreign content, "in select", which newer parsers do without; §13.2.4.2: `isindex`,
# which some take for special.
_OWN_RULES_NAMES = "iframe isindex math noembed noframes noscript plaintext script select style svg xmp"
_READ_BY_OWN_RULES = frozenset(_OWN_RULES_NAMES.split())
# In it, they are shown otherwise, or may be.
_SWITCHES = {
    UPPER_CASE: re.compile(r'style="[^"]*(?:text-transform|/\*)|<(?:button|select)', re.IGNORECASE),
    INVISIBLE: re.compile(r'style="[^"]*(?:visibility|/\*)', re.IGNORECASE),
}
# Each region costs a look at what follows it, and at all tags of its run. The walk does not.
_MAX_PARTS_READ = 40_000
_MAX_TAGS_READ = 10_000
_MAX_CHARACTERS_IN_RUN = 2_000
# So does a look at the texts of a region.
_MAX_CHARACTERS_READ = 100_000


def write_out_regions(pieces: Pieces) -> bool:
    """Write out the regions of a body, in place. Returns False if the walk has to be asked.

    Tags of our own stand where they begin and end, texts are as they are shown in them.
    """
    if not _takes_less_than_a_walk(pieces):
        return False
    while NOT_PLAIN in pieces.shown:
        if not _write_out_first(pieces, pieces.shown.index(NOT_PLAIN)):
            return False
    return not (pieces.keeps and has_picture_at_kept_break(pieces.parts))


def _takes_less_than_a_walk(pieces: Pieces) -> bool:
    """Whether what begins in the odd runs of a body is written out in less time than the walk takes."""
    odd, parts = pieces.odd(), len(pieces.parts)
    if len(odd) * parts > _MAX_PARTS_READ or any(len(pieces.parts[at]) > _MAX_CHARACTERS_IN_RUN for at in odd):
        return False
    runs = [pieces.apart(at) for at in odd]
    keeping = [run for run in runs if not run.marks.isdisjoint(_KEEPING)]
    if keeping and any(run.marks & _NOT_WHERE_IT_IS_KEPT for run in runs):
        return False
    rewriting = [run for run in runs if not run.marks.isdisjoint(_REWRITTEN)]
    tags = sum(part.count("<") + 1 for part in pieces.parts[1::2])
    return (
        sum(len(run.odd) for run in runs) * (parts + tags) <= _MAX_PARTS_READ
        and sum(len(run.odd) * len(run.tags) for run in runs) <= _MAX_TAGS_READ
        and sum(len(run.odd) for run in rewriting) * sum(map(len, pieces.parts)) <= _MAX_CHARACTERS_READ
    )


class _Found(NamedTuple):
    """A region that begins in one run and ends in that run or in a later one.

    `before` and `first` are the tags before and behind its start tag in its run, `last` and `behind` those before and
    behind its end tag. Where both are in one run, what is between them is `first`.
    """

    region: _Region
    before: list[str]
    first: list[str]
    end_at: int
    last: list[str]
    behind: list[str]


def _write_out_first(pieces: Pieces, at: int) -> bool:
    """Write out the first region that begins in the run at `at`. Returns False if it cannot be."""
    found = _first(pieces, at)
    if found is None or _may_be_otherwise(found, pieces, at):
        return False
    region, before, first, end_at, last, behind = found
    if region.kind in _CUT:
        pieces.put(at, end_at, [*before, region.start, *behind])
    elif region.kind == CLOSED:
        return _cut_behind_summary(pieces, at, found)
    elif region.kind in _REWRITES:
        return _rewrite(pieces, at, found)
    elif end_at == at:
        pieces.put(at, at, [*before, region.start, *first, region.end, *behind])
    else:
        pieces.put(at, at, [*before, region.start, *first])
        pieces.put(end_at, end_at, [*last, region.end, *behind])
        return region.kind != UPPER_CASE or _put_in_upper_case(pieces, at, end_at)
    return True


def _first(pieces: Pieces, at: int) -> _Found | None:
    """Return the first region that begins in the run at `at`, or None if it is for the walk."""
    tags, odd, _, _ = pieces.apart(at)
    region = _REGIONS.get(pieces.runs.marks[tags[odd[0]]]) if odd else None
    if region is None:
        return None
    place = odd[0]
    name = tags[place].partition(" ")[0]
    end = None if name in VOID else _end(pieces, at, place, name)
    if end is None:
        return None
    end_at, end_tags, end_place = end
    if end_at == at:
        return _Found(region, tags[:place], tags[place + 1 : end_place], at, [], tags[end_place + 1 :])
    return _Found(region, tags[:place], tags[place + 1 :], end_at, end_tags[:end_place], end_tags[end_place + 1 :])


def _may_be_otherwise(found: _Found, pieces: Pieces, at: int) -> bool:
    """Whether something in a region may let it end elsewhere, or be shown otherwise than the region shows it."""
    kind = found.region.kind
    if kind == UNSEEN and not _is_a_text_alone(found, pieces, at):
        return True
    if kind in _CUT | {CLOSED} and _may_end_elsewhere(pieces, at, found.end_at):
        return True
    if kind not in _SWITCHES:
        return False
    inside = [*found.first, *pieces.parts[at + 2 : found.end_at : 2], *found.last]
    return any(map(_SWITCHES[kind].search, (f"<{run}" for run in inside)))


def _is_a_text_alone(found: _Found, pieces: Pieces, at: int) -> bool:
    """Whether a region is one text that hides no white space. White space before it would be in the run."""
    is_text = found.end_at == at + 2 and not found.first and not found.last
    return is_text and not hides_white_space(pieces.parts[at + 1])


def hides_white_space(text: str) -> bool:
    """Whether a text that is not to be seen may hide white space beside it: that behind white space at its end.

    Line breaks beside a zero width space go, too, which may be written as a reference.
    """
    return text[-1:] in _SPACES or "\u200b" in text or "&" in text


def _end(pieces: Pieces, start: int, start_place: int, name: str) -> tuple[int, list[str], int] | None:
    """Return which run has the end of the element that begins in the run at `start`, its tags, and the place there.

    Returns None where there is none: something was cut at a wrong place.
    """
    end_tag, with_attributes = f"/{name}", f"{name} "
    end, inner_start = f"{end_tag}>", f"<{name}"
    depth = 1
    first = start_place + 1
    for at in range(start, len(pieces.parts), 2):
        run = pieces.parts[at]
        if end in run or inner_start in run or run.startswith(name):
            tags = pieces.apart(at).tags
            for place in range(first, len(tags)):
                tag = tags[place]
                if tag == end_tag:
                    depth -= 1
                    if not depth:
                        return at, tags, place
                elif tag == name or tag.startswith(with_attributes):
                    depth += 1
        first = 0
    return None


def _may_end_elsewhere(pieces: Pieces, start: int, end: int) -> bool:
    """Whether from one run to another there is an element that parsers read by rules of its own."""
    odd = (pieces.apart(at) for at in range(start, end + 1, 2) if pieces.shown[at] == NOT_PLAIN)
    return any(not _READ_BY_OWN_RULES.isdisjoint(apart.names) for apart in odd)


def _cut_behind_summary(pieces: Pieces, at: int, found: _Found) -> bool:
    """Cut what closed details hide: all behind the `summary`. Returns False where that is not their first child."""
    first = next((tag for tag in found.first if not tag.isspace()), "")
    if first.partition(" ")[0] != "summary":
        return False
    before = [*found.before, found.region.start]
    pieces.put(at, at, [*before, *found.first])
    end = _end(pieces, at, len(before) + found.first.index(first), "summary")
    if end is None:
        return False
    end_at, tags, place = end
    pieces.put(end_at, found.end_at, [*tags[: place + 1], found.region.end, *found.behind])
    return True


def _put_in_upper_case(pieces: Pieces, start: int, end: int) -> bool:
    """Write the texts of a region as it shows them. Returns False if white space of them is kept."""
    texts = pieces.parts[start + 1 : end : 2]
    if any(map(KEPT_REFERENCE.search, texts)):
        return False
    pieces.put_texts(start, end, list(map(in_upper_case, texts)))
    return True


_REWRITES: dict[str, Callable[[str, Marks], str | None]] = {
    KEEPS_WHITE_SPACE: lambda content, _: kept_in_texts(content, KEEPS_WHITE_SPACE),
    KEEPS_LINE_FEEDS: lambda content, _: kept_in_texts(content, KEEPS_LINE_FEEDS),
    DRAWING: drawn_texts,
    OPTIONS: options,
    ITEMS: items,
}


def _rewrite(pieces: Pieces, at: int, found: _Found) -> bool:
    """Write out white space that is kept in a region, or what stands in a box. Returns False if it is for the walk."""
    region, before, first, end_at, last, behind = found
    between = "".join(
        part if place % 2 else f"<{part}" for place, part in enumerate(pieces.parts[at + 1 : end_at], start=1)
    )
    content = written(first) + between + written(last)
    if content.count("<") != content.count(">"):
        return False
    # The walk's parser takes a `sup` for a part of a drawing, which it ends (HTML standard §13.2.6.5).
    if region.kind == DRAWING and any("sup" in run for run in pieces.parts[1::2]):
        return False
    rewritten = _REWRITES[region.kind](content, pieces.runs.marks)
    if rewritten is None:
        return False
    pieces.keeps |= region.kind in {KEEPS_WHITE_SPACE, KEEPS_LINE_FEEDS}
    canonical = f"<{run_of([*before, region.start])}{rewritten}<{run_of([region.end, *behind])}"
    pieces.put_parts(at, end_at, split(canonical)[1:-1])
    return True
