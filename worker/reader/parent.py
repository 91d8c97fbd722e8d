"""The worker's side of the process that reads slow bodies: starts it for the first one, sends bodies, and ends it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from worker.defects import guarded
from worker.errors import ReaderFailed
from worker.reader.child import ANSWER, READY, REQUEST
from worker.telemetry import get_logger
from worker.transform.bodies import ReadHtml, read_html, read_plainly
from worker.transform.slow import may_be_slow, without_data

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

COMMAND = (sys.executable, "-I", "-m", "worker.reader.child")
# The rest of the environment holds secrets, and settings that nobody meant for this process.
_ENVIRONMENT = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
TOO_LONG = signal.SIGPROF.name
_STARTS = 2


class Reader:
    """Reads bodies that are HTML, whatever their size, without holding the event loop.

    One at a time, in the order in which they were asked for.
    """

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        self._command = command
        self._child: Process | None = None
        self._number = 0
        self._lock = asyncio.Lock()
        self._told: set[str] = set()

    @property
    def pid(self) -> int | None:
        """The process that reads, while there is one and it waits for a body."""
        return self._child.pid if self._child else None

    async def read(self, body: str) -> ReadHtml:
        """Return text and safe HTML of a body, or its text the plain way if that takes too much time or memory.

        Raises ReaderFailed if the process that reads it cannot be started.
        """
        cut, mark = without_data(body)
        read = await self._read(cut) if cut != body else None
        if read is None or mark in read.text or mark in (read.html or ""):
            read = await self._read(body)
        return read

    async def _read(self, body: str) -> ReadHtml:
        if not may_be_slow(body):
            return guarded(lambda: read_html([body])[body], lambda: _plainly(body))
        async with self._lock:
            outcome = await self._ask(body)
            if not isinstance(outcome, ReadHtml) and outcome != TOO_LONG:
                # The cause may lie outside, or in what was read before: a new process decides.
                outcome = await self._ask(body)
        if isinstance(outcome, ReadHtml):
            return outcome
        if outcome not in self._told:
            self._told.add(outcome)
            get_logger().warning("a body could not be read, and its text was read the plain way", where=outcome)
        return await asyncio.to_thread(_plainly, body)

    async def _ask(self, body: str) -> ReadHtml | str:
        """Return what the process reads; otherwise what ended it or where it failed, and it is not used again."""
        child, self._child = self._child, None
        if child is None or child.returncode is not None:
            child = await self._start()
        self._number += 1
        try:
            await _send(child, self._number, body.encode(errors="surrogatepass"))
            outcome = await _receive(child, self._number)
        except (asyncio.IncompleteReadError, OSError):
            return _name(await child.wait())
        else:
            if isinstance(outcome, ReadHtml):
                self._child = child
            return outcome
        finally:
            if self._child is None:
                await _end(child)

    async def _start(self) -> Process:
        for _ in range(_STARTS):
            try:
                child = await asyncio.create_subprocess_exec(
                    *self._command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=_ENVIRONMENT, start_new_session=True
                )
            except OSError:
                continue
            try:
                if child.stdout is not None and await child.stdout.read(len(READY)) == READY:
                    return child
            except BaseException:
                await _end(child)
                raise
            await _end(child)
        raise ReaderFailed(
            "The process that reads large bodies could not be started.",
            safe="What was landed is kept.",
            next="Look at the limits of memory and processes here, then run it again.",
        )

    async def close(self) -> None:
        """End the process, if there is one."""
        child, self._child = self._child, None
        if child is not None:
            await _end(child)


@asynccontextmanager
async def open_reader() -> AsyncIterator[Reader]:
    """Give a reader, whose process ends with the block."""
    reader = Reader()
    try:
        yield reader
    finally:
        await reader.close()


async def _send(child: Process, number: int, body: bytes) -> None:
    if child.stdin is not None:
        child.stdin.write(REQUEST.pack(number, len(body)) + body)
        await child.stdin.drain()


async def _receive(child: Process, number: int) -> ReadHtml | str:
    """Return the answer; if the process could not read the body, where it failed. Raises if the process has ended."""
    if child.stdout is None:
        raise OSError
    of, is_read, *lengths = ANSWER.unpack(await child.stdout.readexactly(ANSWER.size))
    text, html = [(await child.stdout.readexactly(length)).decode(errors="surrogatepass") for length in lengths]
    if of != number:
        return "an answer of another body"
    return ReadHtml(text, html) if is_read else text


async def _end(child: Process) -> None:
    with suppress(ProcessLookupError):
        child.kill()
    if child.stdin is not None:
        child.stdin.close()
    await child.communicate()


def _plainly(body: str) -> ReadHtml:
    return guarded(lambda: read_plainly(body), lambda: ReadHtml(body, None))


def _name(returncode: int) -> str:
    return signal.Signals(-returncode).name if returncode < 0 else f"exit {returncode}"
