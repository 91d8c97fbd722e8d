"""A defect: our own code fails on one record. The record is derived in another way, and the run goes on.

Only this module catches any exception at all. Code that derives a record of the source (decodes an entry, reads its
body, judges it) is called through `guarded`, with a substitute for the case that it fails.
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
    """Return what `derive` returns. If it fails, log where, and return what `otherwise` returns.

    Failures include an exhausted stack or memory, and a panic of a parser written in Rust. A signal, the cancellation
    of a task and a MirrorError are raised as they are.
    """
    try:
        return derive()
    except BaseException as error:
        if not _is_defect(error):
            raise
        _note(error)
    return otherwise()


def forget_defects() -> None:
    """Let each kind of defect be logged again, because a run begins."""
    _told.clear()


def _is_defect(error: BaseException) -> bool:
    if isinstance(error, Exception):
        return not isinstance(error, MirrorError)
    # PyO3 raises a Rust panic as an exception that is no Exception, and whose type cannot be imported.
    return type(error).__name__ == "PanicException"


def _note(error: BaseException) -> None:
    """Log the type of a defect and the lines it passed through, once for each line it arises on; never its text."""
    frames = traceback.extract_tb(error.__traceback__)
    kind = (type(error).__name__, frames[-1].filename, frames[-1].lineno)
    if kind not in _told:
        _told.add(kind)
        get_logger().error("our own code failed on a record, which took another way", where=where(error))
