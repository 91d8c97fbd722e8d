"""Logging by allow-list: a field that is not named here does not leave the process.

Patients' words, names and references must never reach a log, whatever goes wrong. So the log does not filter fields
out; it admits only fields that are known to be harmless. For the same reason it withholds the messages of exceptions
and of other libraries. Of an unexpected exception it logs the type and the lines that it passed through, without
values.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

    from worker.errors import MirrorError

# `what`, `safe` and `next` are texts of `worker.errors` and `worker.advice`, which are fit for a log.
_ALLOWED = """
    event level timestamp logger
    job scope outcome run_id search_id version holder schema next_fire_at due_at
    searches searches_accepted searches_done migrations
    entries new changed unchanged outside deleted held unseen quarantined released requests messages reasons
    attempt wait_seconds seconds status_code reason error where exit_code what safe next
    sqlstate constraint table added
"""
ALLOWED_FIELDS = frozenset(_ALLOWED.split())


def configure_logging(form: str = "console") -> None:
    """Send structlog to stderr, as `console` lines or `json`, and withhold the texts of every other library."""
    renderer: Any = structlog.processors.JSONRenderer()
    if form == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=32)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            keep_allowed_fields,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_WithheldHandler()]
    root.setLevel(logging.WARNING)


def withhold_unhandled() -> None:
    """Log where warnings and unhandled errors arose, and withhold their texts."""
    logging.captureWarnings(True)
    sys.excepthook = lambda _kind, error, _trace: _say_where("an error was not handled", error)
    sys.unraisablehook = lambda said: _say_where("an error could not be raised", said.exc_value)
    threading.excepthook = lambda said: _say_where("a thread ended in an error", said.exc_value)


def get_logger() -> FilteringBoundLogger:
    """Return the logger that all code uses."""
    logger: FilteringBoundLogger = structlog.get_logger()
    return logger


def logs_json() -> bool:
    """Tell whether the log is JSON. Then stderr holds nothing else."""
    return isinstance(structlog.get_config()["processors"][-1], structlog.processors.JSONRenderer)


def log_error(event: str, error: MirrorError, *, kind: str = "", level: str = "error") -> None:
    """Log an error of ours with its kind and exit code, and say what happened, what is safe and what to type next.

    A JSON line holds these texts as `what`, `safe` and `next`; on the console they follow the line. They are fit for a
    log (`worker.errors`). `kind` is the name of the error if it is not the type's. A stderr that nobody reads raises
    nothing.
    """
    words = {name: text for name in ("what", "safe", "next") if (text := getattr(error, name))} if logs_json() else {}
    log = getattr(get_logger(), level)
    log(event, error=kind or type(error).__name__, exit_code=error.exit_code, **words)
    if not words:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(f"{error.told()}\n")


def keep_allowed_fields(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Drop every field that `ALLOWED_FIELDS` does not name (a structlog processor)."""
    return {key: value for key, value in event.items() if key in ALLOWED_FIELDS}


def where(error: BaseException) -> str:
    """Return the type of an exception and the lines it passed through, innermost last, without any value."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = " > ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames[-8:])
    return f"{type(error).__name__} at {lines}" if lines else type(error).__name__


def _say_where(what: str, error: BaseException | None) -> None:
    get_logger().error(what, where=where(error) if error else None)


class _WithheldHandler(logging.Handler):
    """Log that a library reported something, without its text, which might quote a URL, a row or a body."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        get_logger().warning(
            "a library reported a problem, its words withheld",
            logger=record.name,
            where=where(error) if error else f"{Path(record.pathname).name}:{record.lineno}",
        )
