"""Parts of a body that reach up to an end tag which has to be found: what is hidden, or shown in another way.

They are written out in a body's texts and runs (`worker.transform.runs`). Serialised tags are balanced, so the end of
an element is the end tag that closes all of its name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from worker.transform.kept import KEPT_REFERENCE
from worker.transform.marks import (
    ANOTHER_DISPLAY,
    CLOSED,
    EDGES,
    INLINE,
    INLINE_BLOCK,
    INLINE_BLOCK_END,
    NOT_RENDERED,
    UPPER_CASE,
    VOID,
)
from worker.transform.references import decoded
from worker.transform.runs import EDGE_TAGS, NOT_PLAIN, WHITE_SPACE, run_of, tags_of

if TYPE_CHECKING:
    from worker.transform.runs import Runs


class _Region(NamedTuple):
    """A kind of region, and the tags that are written where it begins and ends."""

    kind: str
    start: str
    end: str


_REGIONS = {
    NOT_RENDERED: _Region(NOT_RENDERED, EDGE_TAGS[INLINE], EDGE_TAGS[INLINE]),
    INLINE_BLOCK: _Region(INLINE_BLOCK, EDGE_TAGS[INLINE_BLOCK], EDGE_TAGS[INLINE_BLOCK_END]),
    **{
        kind + edge: _Region(kind, EDGE_TAGS[edge], EDGE_TAGS[edge])
        for kind in (UPPER_CASE, ANOTHER_DISPLAY, CLOSED)
        for edge in EDGES
    },
}
_CUT = frozenset({NOT_RENDERED, CLOSED})
# HTML standard §13.2.6.4: raw text, foreign content, and "in select", which newer parsers do without.
_READ_BY_OWN_RULES = frozenset(
    {"iframe", "math", "noembed", "noframes", "noscript", "plaintext", "script", "select", "style", "svg", "textarea"}
    | {"title", "xmp"}
)
# Said in what is in upper case, they may switch it off.
_SWITCHES = re.compile(r"text-transform|/\*", re.IGNORECASE)
# Each region costs a look at what follows it. The walk does not.
_MAX_PARTS_READ = 40_000
_MAX_TAGS_IN_RUN = 100


def write_out_regions(parts: list[str], odd: list[int], runs: Runs) -> bool:
    """Write out the regions in a body's texts and runs, in place. Returns False if the walk has to be asked.

    Tags of our own stand where they begin and end, texts are as they are shown in them. They begin in the runs at the
    `odd` places.
    """
    if len(odd) * len(parts) > _MAX_PARTS_READ:
        return False
    length = len(parts)
    last = 0
    for place in odd:
        at = place - (length - len(parts))
        if at <= last:
            continue  # cut with a region before it
        last = at
        while runs[parts[at]] == NOT_PLAIN:
            if not _write_out_first(parts, at, runs):
                return False
    return True


def _write_out_first(parts: list[str], at: int, runs: Runs) -> bool:
    """Write out the first region that begins in the run at `at`. Returns False if it cannot be."""
    tags = tags_of(parts[at])
    place = next((place for place, tag in enumerate(tags) if runs.is_odd(tag)), None)
    if place is None:
        return False
    region = _REGIONS.get(runs.marks[tags[place]])
    name = tags[place].partition(" ")[0]
    if region is None or name in VOID or len(tags) > _MAX_TAGS_IN_RUN:
        return False
    end = _end(parts, at, place, name)
    if end is None:
        return False
    end_at, end_tags, end_place = end
    before, behind = tags[:place], end_tags[end_place + 1 :]
    if region.kind in _CUT and _may_end_elsewhere(parts[at : end_at + 1 : 2], runs):
        return False
    if region.kind == NOT_RENDERED:
        parts[at : end_at + 1] = [run_of([*before, region.start, *behind])]
    elif region.kind == CLOSED:
        return _cut_behind_summary(
            parts, at, [*before, region.start], tags[place + 1 :], (end_at, [region.end, *behind])
        )
    elif end_at == at:
        parts[at] = run_of([*before, region.start, *tags[place + 1 : end_place], region.end, *behind])
    else:
        inside = tags[place + 1 :]
        if region.kind == UPPER_CASE and not _put_in_upper_case(parts, at, end_at, [*inside, *end_tags[:end_place]]):
            return False
        parts[at] = run_of([*before, region.start, *inside])
        parts[end_at] = run_of([*end_tags[:end_place], region.end, *behind])
    return True


def _end(parts: list[str], start: int, start_place: int, name: str) -> tuple[int, list[str], int] | None:
    """Return which run has the end of the element that begins in the run at `start`, its tags, and the place there.

    Returns None where there is none: something was cut at a wrong place.
    """
    end_tag, with_attributes = f"/{name}", f"{name} "
    depth = 1
    first = start_place + 1
    for at in range(start, len(parts), 2):
        if name in parts[at]:
            tags = tags_of(parts[at])
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


def _may_end_elsewhere(some: list[str], runs: Runs) -> bool:
    """Whether what is cut holds an element that parsers read by rules of its own, and may let end elsewhere."""
    odd = [tag for run in some if runs[run] == NOT_PLAIN for tag in tags_of(run) if runs.is_odd(tag)]
    return any(tag.partition(" ")[0] in _READ_BY_OWN_RULES for tag in odd)


def _cut_behind_summary(
    parts: list[str], at: int, before: list[str], inside: list[str], rest: tuple[int, list[str]]
) -> bool:
    """Cut what closed details hide: all behind the `summary`. Returns False where that is not their first child.

    The details begin in the run at `at`, whose tags are those `before` and those `inside`, and end in the run that
    `rest` names, before the tags that it has.
    """
    first = next((tag for tag in inside if tag not in WHITE_SPACE), "")
    if first.partition(" ")[0] != "summary":
        return False
    parts[at] = run_of([*before, *inside])
    end = _end(parts, at, len(before) + inside.index(first), "summary")
    if end is None:
        return False
    end_at, tags, place = end
    details_end_at, behind = rest
    parts[end_at : details_end_at + 1] = [run_of([*tags[: place + 1], *behind])]
    return True


def _put_in_upper_case(parts: list[str], at: int, end_at: int, inside: list[str]) -> bool:
    """Write the texts of a region as it shows them. Returns False if something in it may be read in another way."""
    tags = [*inside, *parts[at + 2 : end_at : 2]]
    texts = parts[at + 1 : end_at : 2]
    if any(" style=" in tag and _SWITCHES.search(tag) for tag in tags) or any(map(KEPT_REFERENCE.search, texts)):
        return False
    # No reference comes of it: those that are written out at the end are in lower case.
    parts[at + 1 : end_at : 2] = [decoded(text).upper() for text in texts]
    return True
