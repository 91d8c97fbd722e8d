"""Finds out whether a server runs on a data directory, from the system's processes, because files survive a crash.

After `kill -9` of the postmaster, its `postmaster.pid` names a process that is gone, or another one. Its children may
go on for a while, attached to the shared memory that a new server needs.
"""

from __future__ import annotations

import signal
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]  # it ships no types

from worker.errors import EmbeddedServerError
from worker.load.embedded.home import SOCKET_NAME

if TYPE_CHECKING:
    from pathlib import Path

    from worker.load.embedded.home import Home

READY = "ready"
POLL_S = 0.02
STOPPED_FAST_WITHIN_S = 60
STOPPED_AT_ONCE_WITHIN_S = 15
ORPHANS_LEAVE_BY_THEMSELVES_S = 1.0
ORPHANS_OBEY_S = 5.0


def pid_file(data: Path) -> tuple[int, str] | None:
    """Return pid and status (`starting`, `ready`, `stopping`…) from `postmaster.pid`, or None."""
    try:
        lines = (data / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return None
    if not lines or not lines[0].strip().isdigit():
        return None
    return int(lines[0]), lines[7].strip() if len(lines) > 7 else "starting"


def postmaster(home: Home) -> psutil.Process | None:
    """Return the postmaster of this home if it is alive."""
    named = pid_file(home.data)
    if named is None:
        return None
    try:
        process = psutil.Process(named[0])
    except psutil.NoSuchProcess:
        return None
    return process if _works_in(home, process) else None


def answers(home: Home) -> bool:
    """Tell whether a server listens on the socket, which no other user can have put there."""
    if not home.is_private(home.socket):
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(home.socket / SOCKET_NAME))
        except OSError:
            return False
    return True


def is_ready(home: Home) -> bool:
    """Tell whether a server of this home takes connections."""
    named = pid_file(home.data)
    return named is not None and named[1] == READY and postmaster(home) is not None and answers(home)


def wait_until_ready(home: Home, timeout_s: float) -> bool:
    """Wait for a postmaster that somebody else has started. Return False if it is gone, or cannot be reached any more.

    Raises EmbeddedServerError if it is alive and not ready after `timeout_s` seconds.
    """
    deadline = time.monotonic() + timeout_s
    while postmaster(home) is not None:
        if is_ready(home):
            return True
        named = pid_file(home.data)
        if named is not None and named[1] == READY and not (home.socket / SOCKET_NAME).exists():
            return False
        if time.monotonic() > deadline:
            raise not_ready(home, timeout_s)
        time.sleep(POLL_S)
    return False


def stop(home: Home) -> bool:
    """Stop the server and wait for its end. Return False if none was running.

    A fast shutdown comes first. If it does not end (PostgreSQL 18 can hang in it while it recovers from a crash), an
    immediate one follows, after which the next start recovers. Raises EmbeddedServerError if neither ends.
    """
    process = postmaster(home)
    if process is None:
        return False
    for order, within_s in ((signal.SIGINT, STOPPED_FAST_WITHIN_S), (signal.SIGQUIT, STOPPED_AT_ONCE_WITHIN_S)):
        _send(process, order)
        if not _still_there(home, [process], within_s):
            return True
    raise EmbeddedServerError(
        f"The embedded PostgreSQL (pid {process.pid}) does not end.",
        safe="The data are untouched.",
        next=f"Wait and run the command again. What it is doing: {home.log}",
    )


def end_orphans(home: Home) -> None:
    """End the processes that a dead postmaster has left. Raises EmbeddedServerError if one does not end."""
    orphans = [process for process in psutil.process_iter() if _works_in(home, process)]
    orphans = _still_there(home, orphans, ORPHANS_LEAVE_BY_THEMSELVES_S)
    for order in (signal.SIGQUIT, signal.SIGKILL):
        for process in orphans:
            _send(process, order)
        orphans = _still_there(home, orphans, ORPHANS_OBEY_S)
    if orphans:
        pids = " ".join(str(process.pid) for process in orphans)
        raise EmbeddedServerError(
            f"Processes of an earlier server still hold the data and do not end: {pids}.",
            safe="The data are untouched.",
            next=f"End them (kill -9 {pids}), or restart the machine, then run the command again.",
        )


def not_ready(home: Home, timeout_s: float) -> EmbeddedServerError:
    """Return the error for a server that is alive and does not take connections."""
    return EmbeddedServerError(
        f"The embedded PostgreSQL was not ready after {timeout_s:.0f} s. It may be recovering from a crash.",
        safe="The data are untouched, and the server goes on recovering.",
        next=f"Run the command again in a while. What it is doing: {home.log}",
    )


def _works_in(home: Home, process: psutil.Process) -> bool:
    """Tell whether a process is one of the server's: each of them works in the data directory, as its account.

    A zombie works nowhere.
    """
    try:
        return (
            process.name() == "postgres"
            and process.uids().effective == home.account.uid
            and home.data.samefile(process.cwd())
        )
    except (psutil.Error, OSError):
        return False


def _still_there(home: Home, processes: list[psutil.Process], timeout_s: float) -> list[psutil.Process]:
    """Wait for processes of the server to end, and return those that have not after `timeout_s` seconds."""
    deadline = time.monotonic() + timeout_s
    while processes and time.monotonic() < deadline:
        time.sleep(POLL_S)
        processes = [process for process in processes if _works_in(home, process)]
    return processes


def _send(process: psutil.Process, order: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(order)
