"""How many messages each search has, so that the longest begins first and a run can say how long it will take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.errors import PageFailed
from worker.jobs.run.together import together
from worker.jobs.run.walk import RESOURCE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from worker.extract.client import Source
    from worker.records import Search

WORTH_ASKING = range(100, 1001)
"""Of how many searches the sizes are asked before a first run. Fewer all begin soon, more take too long to ask."""


async def ask_sizes(
    source: Source, searches: Sequence[Search], concurrency: int, asked: Callable[[], None] = lambda: None
) -> dict[tuple[str, str], int]:
    """Return (parameter, value) → `total` of each search that gives one, by a request for a single entry of each.

    `asked` is called after each search. Raises SourceAway and AccessRefused.
    """
    sizes: dict[tuple[str, str], int] = {}
    waiting = iter(searches)

    async def ask() -> None:
        for search in waiting:
            total = await _total(source, search)
            if total is not None:
                sizes[search.parameter, search.value] = total
            asked()

    await together(ask() for _ in range(concurrency))
    return sizes


async def _total(source: Source, search: Search) -> int | None:
    try:
        return (await source.first_page(RESOURCE, [(search.parameter, search.value)], count=1)).total
    except PageFailed:
        return None
