"""Errors of the embedded server, for the person who has to correct them."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING

from worker.errors import EmbeddedServerError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LAST_LINES = 6
SAFE = "What was in the warehouse is still there."

# What PostgreSQL prints, and what it means to the person reading.
KNOWN_CAUSES = (
    (  # before the disk, because full shared memory is also reported as no space left
        "shared memory",
        "The machine gives the server no shared memory.",
        "Give /dev/shm more room (docker: --shm-size=256m), or set WAREHOUSE_DSN to a PostgreSQL elsewhere.",
    ),
    (
        "No space left on device",
        "The disk is full.",
        "Make room on the file system of {home}, then run it again.",
    ),
    (
        "Unix-domain socket",
        "The server could not make its socket.",
        "Set WAREHOUSE_DIR to a directory on a local disk, with a short path.",
    ),
)


def program_failed(doing: str, output: str, *, home: Path, log: Path) -> EmbeddedServerError:
    """Return the error for a program of PostgreSQL that failed, from the lines it printed."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    said = "\n".join([line for line in lines if not line.startswith("pg_ctl: ")][-LAST_LINES:])
    for sign, what, then in KNOWN_CAUSES:
        if sign in output:
            return EmbeddedServerError(f"{doing} failed. {what}\n{said}", safe=SAFE, next=then.format(home=home))
    return EmbeddedServerError(
        f"{doing} failed:\n{said}",
        safe=SAFE,
        next=f"More may stand in {log}. Or set WAREHOUSE_DSN to a PostgreSQL that runs elsewhere.",
    )


@contextmanager
def said_for_people(directory: Path) -> Iterator[None]:
    """Raise an EmbeddedServerError for an OSError of the block."""
    try:
        yield
    except OSError as error:
        place = error.filename or directory
        next_step = "Check WAREHOUSE_DIR: it must be a directory on a local disk that you may write to."
        if error.errno == errno.ENOSPC:
            next_step = "Make room on that disk, then run it again."
        elif error.errno in {errno.EACCES, errno.EPERM}:
            next_step = "Run as the user whom the directory belongs to, or set WAREHOUSE_DIR to one of your own."
        raise EmbeddedServerError(
            f"The embedded PostgreSQL in {directory} cannot be used: {error.strerror}: {place}.",
            safe=SAFE,
            next=next_step,
        ) from error
