"""The process that reads slow bodies: they arrive on stdin, one by one, and their text and HTML leave on stdout.

The kernel ends it if it computes too long for one body: no signal handler in Python would run while a parser written in
C does. It ends when its stdin does, so it does not outlive the worker. No word of a body reaches a file, a log or the
list of processes.
"""

from __future__ import annotations

import resource
import signal
import struct
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from worker.transform.bodies import read_html

if TYPE_CHECKING:
    from collections.abc import Sequence

CPU_S = 2.0
"""CPU time for one body. A machine that is busy with other things takes longer, and the outcome is the same."""
MEMORY_BYTES = 300 * 1024 * 1024
READY = b"\x06"
REQUEST = struct.Struct(">QQ")
"""Number and length of a body, which follows in UTF-8."""
ANSWER = struct.Struct(">Q?QQ")
"""Number of the body, whether it could be read, and two lengths: of text and HTML; or of where it failed, and 0."""


def main() -> None:
    """Read bodies until stdin ends."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _limit_memory()
    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()
    serve(sys.stdin.buffer, sys.stdout.buffer)


def _limit_memory() -> None:
    """Limit memory to `MEMORY_BYTES`, or to what is allowed already if that is less."""
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = MEMORY_BYTES if most == resource.RLIM_INFINITY else min(MEMORY_BYTES, most)
    with suppress(ValueError, OSError):  # macOS has no limit of this kind: there only the time is limited
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests in their order."""
    while head := requests.read(REQUEST.size):
        number, length = REQUEST.unpack(head)
        signal.setitimer(signal.ITIMER_PROF, CPU_S)  # SIGPROF, which nobody handles, ends the process
        is_read, parts = _answer(requests.read(length))
        signal.setitimer(signal.ITIMER_PROF, 0)
        answers.write(ANSWER.pack(number, is_read, *map(len, parts)))
        answers.writelines(parts)
        answers.flush()


def _answer(request: bytes) -> tuple[bool, Sequence[bytes]]:
    try:
        (read,) = read_html([request.decode(errors="surrogatepass")]).values()
        return True, [part.encode(errors="surrogatepass") for part in (read.text, read.html or "")]
    except BaseException as error:  # noqa: BLE001  a panic of a parser written in Rust is no Exception
        return False, [_where(error).encode(), b""]


def _where(error: BaseException) -> str:
    """Return the type of an error and the last lines it passed through: nothing of what the body says."""
    frames = traceback.extract_tb(error.__traceback__, limit=-8)
    lines = " > ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)
    return f"{type(error).__name__} at {lines}"


if __name__ == "__main__":
    main()
