"""A fork server for the commands: `python -m worker …` without waiting for the interpreter and its imports each time.

It imports the whole worker once, and forks for each command. What it forks is a process like any other: with a pid,
an environment, a directory, streams and an exit code of its own. It does not show what the start of an interpreter
does, and does not wait between the walks of a search: a test of either uses `mirroring.start_command`.
"""

from __future__ import annotations

import asyncio
import atexit
import gc
import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

CHECKOUT = Path(__file__).parents[2]
STREAMS = 3  # stdin, stdout, stderr
NO_PAUSES_S = (0.0, 0.0, 0.0)
"""For `worker.jobs.run.acceptance.PAUSES_S`: a source that is spoilt stays so, however long a test waits."""


class ForkServer:
    """The side of the tests: starts the server, and asks it for one command after another."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(theirs.fileno())],
            cwd=CHECKOUT,
            env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        theirs.close()
        atexit.register(self._end)

    async def run(
        self, variables: dict[str, str], arguments: Sequence[str], stdin: bytes, directory: Path, first: str
    ) -> tuple[int, bytes, bytes]:
        """Run `python -m worker …` to its end; return its exit code (negative: a signal), stdout and stderr.

        `first` is code that the process runs before: it may set what modules look up by name as they run.
        """
        request = {"variables": variables, "arguments": arguments, "directory": str(directory), "first": first}
        with ExitStack() as files:
            asked, typed, out, err = [files.enter_context(tempfile.TemporaryFile()) for _ in range(4)]
            asked.write(json.dumps(request).encode())
            typed.write(stdin)
            for file in (asked, typed):
                file.seek(0)
            ended, end = os.pipe()
            status = files.enter_context(os.fdopen(ended, "rb"))
            socket.send_fds(self._socket, [b"."], [typed.fileno(), out.fileno(), err.fileno(), asked.fileno(), end])
            os.close(end)
            await _readable(ended)
            code = int(status.read())
            for file in (out, err):
                file.seek(0)
            return code, out.read(), err.read()

    def _end(self) -> None:
        self._socket.close()
        self._process.wait()


async def _readable(descriptor: int) -> None:
    loop, something = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, something.set)
    try:
        await something.wait()
    finally:
        loop.remove_reader(descriptor)


@cache
def fork_server() -> ForkServer:
    """Return the fork server of this process, started at the first call."""
    return ForkServer()


def serve(requests: socket.socket) -> None:
    """Fork for each request until the tests' process is gone; return in the process that is to be a command."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks after those who wait for a command
    while True:
        _, files, _, _ = socket.recv_fds(requests, 1, STREAMS + 2)
        if not files:
            os._exit(0)
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            requests.close()
            _command_or_wait(files)
            return
        for file in files:
            os.close(file)


def _command_or_wait(files: Sequence[int]) -> None:
    """Return in a new process that is set up as the request says; tell its exit code to whoever asked, and end."""
    *streams, asked, status = files
    command = os.fork()
    if command != 0:
        _, ended = os.waitpid(command, 0)
        os.write(status, str(os.waitstatus_to_exitcode(ended)).encode())
        os._exit(0)
    with os.fdopen(asked, "rb", closefd=False) as file:
        request = json.loads(file.read())
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.closerange(STREAMS, max(files) + 1)
    os.environ.clear()
    os.environ.update(request["variables"])
    time.tzset()
    os.chdir(request["directory"])
    sys.argv[1:] = request["arguments"]
    exec(request["first"], {})  # noqa: S102 - what a test says


def main() -> None:
    """Import the worker, serve, and be the command that was asked for."""
    import worker
    from worker.jobs.run import acceptance

    for module in pkgutil.walk_packages(worker.__path__, "worker."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    acceptance.PAUSES_S = NO_PAUSES_S
    gc.freeze()  # the forked processes do not go through what was imported for garbage, which copies and takes time
    serve(socket.socket(fileno=int(sys.argv[1])))
    runpy.run_module("worker", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
