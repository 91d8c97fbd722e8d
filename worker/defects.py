"""A defect: our own code fails on one record. The record takes another way, and the run goes on.

This is the only place that catches any exception at all. Whatever derives a record of the source — decoding an entry,
reading its body, judging it — is called through `guarded`, with what stands in if it fails.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, TypeVar

from worker.errors import MirrorError
from worker.telemetry import get_logger, where

if TYPE_CHECKING:
    from collections.abc import Callable

Derived = TypeVar("Derived")

_told: set[tuple[str, str, int | None]] = set()


def guarded(derive: Callable[[], Derived], otherwise: Callable[[], Derived]) -> Derived:
    """Return what `derive` returns; if it fails, note where, and return what `otherwise` does.

    A body may exhaust the stack or the memory, and a parser written in Rust may panic: those count as failures, too. A
    signal, the end of a task and an error of the mirror's own are let through.
    """
    try:
        return derive()
    except BaseException as error:
        if not _is_defect(error):
            raise
        _note(error)
    return otherwise()


def forget_defects() -> None:
    """Let each kind of defect be logged again: a run begins."""
    _told.clear()


def _is_defect(error: BaseException) -> bool:
    if isinstance(error, Exception):
        return not isinstance(error, MirrorError)
    # PyO3 raises a Rust panic as an exception that is no Exception, and whose type cannot be imported.
    return type(error).__name__ == "PanicException"


def _note(error: BaseException) -> None:
    """Log the type of a defect and the lines it passed through, once for each line it arises on; never its words."""
    frames = traceback.extract_tb(error.__traceback__)
    kind = (type(error).__name__, frames[-1].filename, frames[-1].lineno)
    if kind not in _told:
        _told.add(kind)
        get_logger().error("our own code failed on a record, which took another way", where=where(error))
