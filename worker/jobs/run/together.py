"""Work that is done at once: the first failure ends all of it, and nothing of it outlives its caller."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

T = TypeVar("T")


async def together(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Do all of `works` at once, and return what they returned, in their order.

    Raises the first failure, once all others are cancelled and have ended: not as `asyncio.gather`, whose other tasks
    would go on with what the caller has closed by then.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
    except BaseExceptionGroup as failures:
        raise first_failure(failures) from None
    return [task.result() for task in tasks]


def first_failure(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first of failures that a TaskGroup, or one within another, raised together."""
    failure = failures.exceptions[0]
    return first_failure(failure) if isinstance(failure, BaseExceptionGroup) else failure
