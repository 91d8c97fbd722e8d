"""Regions of a text or a few, which most are: what they come to is found out once, by samples in the place of texts.

A hidden line, a button that is an inline block, a heading in upper case, a `<pre>`: one run begins it, one of the next
ends it, or begins another. What such a chain of runs comes to, and how it shows the texts between them, depends on
nothing but the runs. `worker.transform.regions` is asked, and its answer kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.transform.kept import has_picture, with_line_feeds_kept, with_white_space_kept
from worker.transform.layout import NOT_PLAIN
from worker.transform.marks import INLINE_BLOCK, UNSEEN_TEXT
from worker.transform.pieces import Pieces
from worker.transform.references import in_upper_case
from worker.transform.regions import hides_white_space, write_out_regions
from worker.transform.runs import Chain, Runs

if TYPE_CHECKING:
    from collections.abc import Callable

_SAMPLES = ("à \nà", "é \né", "î \nî", "õ \nõ")
"""Each has all that a region may change in a text, and a letter that nothing else has."""


def _as_it_is(text: str) -> str:
    return text


def _cut(_text: str) -> str:
    return ""


def _unseen(text: str) -> str:
    return NOT_PLAIN if hides_white_space(text) else ""


_WAYS: tuple[Callable[[str], str], ...] = (_as_it_is, in_upper_case, with_white_space_kept, with_line_feeds_kept)


def write_out_chains(pieces: Pieces) -> bool:
    """Write out the regions of a body as they are shown, if all are in chains. Returns False, and does nothing, if not.

    White space that is kept and an inline block in one body are for `write_out_regions`, which refuses them.
    """
    shown = pieces.shown
    found: list[tuple[int, Chain]] = []
    behind = 0
    for at in pieces.odd():
        if at < behind:
            continue
        chain = _chain_at(pieces, at)
        if chain is None:
            return False
        found.append((at, chain))
        behind = at + len(chain.shown) + len(chain.ways)
    keeps = any(chain.keeps for _, chain in found)
    if keeps and any(INLINE_BLOCK in text for _, chain in found for text in chain.shown):
        return False
    pieces.keeps = keeps
    for at, (texts, ways, _) in found:
        shown[at : at + 2 * len(texts) : 2] = texts
        for place, way in enumerate(ways):
            shown[at + 1 + 2 * place] = way(shown[at + 1 + 2 * place])
    return True


def _chain_at(pieces: Pieces, start: int) -> Chain | None:
    """Return the shortest chain that begins with the run at `start`, or None if there is no short one."""
    longest = tuple(pieces.parts[start : start + 2 * len(_SAMPLES) + 1 : 2])
    for length in range(1, len(longest) + 1):
        ends_plain = length > 1 and pieces.shown[start + 2 * length - 2] != NOT_PLAIN
        if ends_plain or length == len(longest):
            chain = _chain(longest[:length], pieces.runs)
            if chain is not None:
                return chain
    return None


def _chain(written: tuple[str, ...], runs: Runs) -> Chain | None:
    if written in runs.chains:
        return runs.chains[written]
    read = tuple(run if run in runs else runs.marks.without_unread(run) for run in written)
    if read in runs.chains:
        return runs.chains[read]
    if not all(run in runs for run in read):
        return None  # nothing is kept of what may hold words
    if len(runs.chains) >= runs.marks.MAX_KEPT:
        runs.chains.clear()
    runs.chains[read] = chain = _of_samples(read, runs)
    return chain


def _of_samples(written: tuple[str, ...], runs: Runs) -> Chain | None:
    """Find out what a chain comes to. None for one whose regions end elsewhere, or that is for the walk."""
    samples = _SAMPLES[: len(written) - 1]
    parts = [""]
    for run, sample in zip(written, (*samples, ""), strict=True):
        parts += [run, sample]
    pieces = Pieces(runs, parts, runs.shown(parts))
    if not write_out_regions(pieces):
        return None
    rest = "".join(pieces.shown)
    if NOT_PLAIN in rest:
        return None
    if pieces.keeps and any(has_picture(run) for run in written):
        return None  # it may stand beside a line feed that is kept
    cut = _unseen if UNSEEN_TEXT in rest else _cut
    shown: list[str] = []
    ways: list[Callable[[str], str]] = []
    for sample in samples:
        way = next((way for way in _WAYS if way(sample) in rest), cut)
        if way is cut and sample[0] in rest.lower():
            return None  # shown in more ways than one
        before, _, rest = ("", "", rest) if way is cut else rest.partition(way(sample))
        shown.append(before)
        ways.append(way)
    return Chain([*shown, rest], ways, keeps=pieces.keeps)
