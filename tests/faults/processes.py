"""Real processes of the mirror, and the moments at which something is done to them."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from aiohttp import web

from tests.integration.mirroring import CHECKOUT, Finished

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import asyncpg
    from aiohttp.typedefs import Handler, Middleware

POLL_S = 0.003
MAIN = "from worker.cli.commands import main; main()"


class Worker:
    """A process of the mirror; what it writes is read as it comes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.pid = process.pid
        self._process = process
        self._said = bytearray()
        self._err = bytearray()
        self._news = asyncio.Event()
        self._readers = asyncio.gather(self._read(process.stdout, self._said), self._read(process.stderr, self._err))

    @classmethod
    async def start(
        cls,
        variables: dict[str, str],
        *arguments: str,
        sabotage: str = "",
        terminal: int | None = None,
        directory: Path = CHECKOUT,
    ) -> Worker:
        """Start `python -m worker …` with these variables of the mirror only; a `sabotage` is code that runs first.

        `terminal` is a file descriptor that stands in for the two pipes which are read else.
        """
        inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        entry = ("-c", f"{sabotage}\n{MAIN}") if sabotage else ("-m", "worker")
        out = asyncio.subprocess.PIPE if terminal is None else terminal
        return cls(
            await asyncio.create_subprocess_exec(
                *(sys.executable, *entry, *arguments),
                env={**inherited, **variables},
                cwd=directory,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        )

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet, as far as we know."""
        return self._process.returncode is None

    def send(self, number: signal.Signals) -> bool:
        """Send a signal; False if it had ended before."""
        with suppress(ProcessLookupError):
            if self.is_running:
                # Not `Process.send_signal`: that asks after the process first, and takes its exit code from the waiter.
                os.kill(self.pid, number)
                return True
        return False

    async def says(self, words: str, times: int = 1) -> None:
        """Wait until it has written these words to stderr so often, or has ended."""
        while self.is_running and self._err.count(words.encode()) < times:
            self._news.clear()
            waiting = [asyncio.ensure_future(self._news.wait()), asyncio.ensure_future(self._process.wait())]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for one in waiting:
                one.cancel()

    async def end(self) -> Finished:
        """Wait for its end."""
        code = await self._process.wait()
        await asyncio.shield(self._readers)
        return Finished(code, self._said.decode(), self._err.decode())

    async def _read(self, stream: asyncio.StreamReader | None, into: bytearray) -> None:
        while stream is not None and (some := await stream.read(65536)):
            into += some
            self._news.set()


@asynccontextmanager
async def running(
    variables: dict[str, str], *arguments: str, sabotage: str = "", directory: Path = CHECKOUT
) -> AsyncIterator[Worker]:
    """Start a worker, and see that it does not outlive the block."""
    worker = await Worker.start(variables, *arguments, sabotage=sabotage, directory=directory)
    try:
        yield worker
    finally:
        worker.send(signal.SIGKILL)
        await worker.end()


async def run_to_end(variables: dict[str, str], *arguments: str, sabotage: str = "") -> Finished:
    """Run a command to its end."""
    async with running(variables, *arguments, sabotage=sabotage) as worker:
        return await worker.end()


class Doorbell:
    """A middleware that counts the requests a source gets, and rings at one of them.

    With `hold`, the answer to that request is made ready and kept back until `held` is set: it may be out of date by
    then.
    """

    def __init__(self) -> None:
        self.count = 0
        self.held = asyncio.Event()
        self._at = 0
        self._hold = False
        self._rang = asyncio.Event()

    def set(self, at: int, *, hold: bool = False) -> None:
        """Begin to count anew, and ring at request `at` (0: at none). What was kept back is kept back still."""
        self.count, self._at, self._hold = 0, at, hold
        self._rang = asyncio.Event()
        self.held = asyncio.Event()

    def let_go(self) -> None:
        """Give the answer that was kept back last."""
        self.held.set()

    async def rings(self, worker: Worker) -> bool:
        """Wait for it; False if the worker ended first."""
        waiting = [asyncio.ensure_future(self._rang.wait()), asyncio.ensure_future(worker.end())]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for one in waiting:
            one.cancel()
        return self._rang.is_set()

    def middleware(self) -> Middleware:
        """Return it as aiohttp wants it."""

        @web.middleware
        async def ring(request: web.Request, handler: Handler) -> web.StreamResponse:
            self.count += 1
            if self.count != self._at:
                return await handler(request)
            answer, held = await handler(request), self.held
            self._rang.set()
            if self._hold:
                await held.wait()
            return answer

        return ring


async def sessions(database: asyncpg.Connection) -> list[int]:
    """Return the process ids of the workers' sessions in this database."""
    rows = await database.fetch(
        "SELECT pid FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name LIKE 'message-mirror%'"
    )
    return [row["pid"] for row in rows]


async def has_session(database: asyncpg.Connection, worker: Worker) -> bool:
    """Wait until a worker is connected to this database; False if it ended first."""
    while worker.is_running:
        if await sessions(database):
            return True
        await asyncio.sleep(POLL_S)
    return False


async def run_on_terminal(variables: dict[str, str], *arguments: str, sabotage: str = "") -> Finished:
    """Run a command with stdout and stderr on a terminal; `err` holds whatever was shown there."""
    shown = bytearray()
    master, terminal = pty.openpty()
    try:
        worker = await Worker.start(
            {**variables, "TERM": "xterm", "COLUMNS": "160"}, *arguments, sabotage=sabotage, terminal=terminal
        )
    finally:
        os.close(terminal)

    def read() -> None:
        with suppress(OSError):  # EIO: the last process has let go of the terminal
            while some := os.read(master, 65536):
                shown.extend(some)

    await asyncio.to_thread(read)
    os.close(master)
    ended = await worker.end()
    return Finished(ended.code, "", shown.decode())
