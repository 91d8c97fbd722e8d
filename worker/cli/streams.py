"""stdout and stderr of the command, which may be closed, full, or pipes that nobody reads any more.

Neither stops a job: a sync is worth more than the lines about it, and `serve` must survive a full log disk. Lost lines
of stderr are lost. Lost lines of stdout are reported when the command has ended.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_STDOUT, _STDERR = 1, 2


class _Unfailing(io.RawIOBase):
    """A file descriptor to which writing never fails. `error` is the first failure, if any."""

    def __init__(self, descriptor: int, *, tries_again: bool) -> None:
        self.error: OSError | None = None
        self._descriptor = descriptor
        self._tries_again = tries_again

    def writable(self) -> bool:
        """Tell that this can be written to."""
        return True

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Tell whether it is a terminal."""
        return os.isatty(self._descriptor)

    def write(self, data: ReadableBuffer, /) -> int:
        """Write what can be written, and return how many bytes were written or dropped."""
        if self.error is None or self._tries_again:
            try:
                return os.write(self._descriptor, data)
            except OSError as error:
                self.error = self.error or error
        return memoryview(data).nbytes


def never_fail() -> None:
    """Make stdout and stderr such that writing to them never raises, and a closed stdin an empty one."""
    _open_what_is_closed()
    if sys.stdin is None:
        sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    # A log disk may have room again later. A result with a gap in the middle is worse than half a result.
    sys.stdout = _text(sys.stdout, _Unfailing(_STDOUT, tries_again=False), "replace")
    sys.stderr = _text(sys.stderr, _Unfailing(_STDERR, tries_again=True), "backslashreplace")


def lost() -> str | None:
    """Return why something that was written to stdout is lost, in words, or None if nothing is.

    Lines that a reader did not want (`| head -1`) do not count as lost.
    """
    sys.stdout.flush()
    raw = sys.stdout.buffer.raw if isinstance(sys.stdout.buffer, io.BufferedWriter) else None
    error = raw.error if isinstance(raw, _Unfailing) else None
    return None if error is None or error.errno == errno.EPIPE else os.strerror(error.errno or 0)


def _open_what_is_closed() -> None:
    """Put /dev/null in the place of a closed stdin, stdout or stderr; else the next socket would get its number."""
    for descriptor in (0, _STDOUT, _STDERR):
        try:
            os.fstat(descriptor)
        except OSError:
            # stdout is opened for reading: a write to it must fail, not pass for written.
            os.open(os.devnull, os.O_WRONLY if descriptor == _STDERR else os.O_RDONLY)


def _text(old: TextIO | None, raw: _Unfailing, errors: str) -> TextIO:
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=old.encoding if old is not None else "utf-8",
        errors=errors,
        line_buffering=raw.isatty() or raw.fileno() == _STDERR,
        write_through=isinstance(old, io.TextIOWrapper) and old.write_through,
    )
