"""Starts a server: makes the cluster if there is none, writes its configuration, and starts the postmaster."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from worker.load.embedded import config, postmaster
from worker.load.embedded.account import invoking_account
from worker.load.embedded.binaries import Binaries, binaries_for
from worker.load.embedded.failure import program_failed
from worker.load.embedded.home import SOCKET_NAME, write_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from worker.load.embedded.home import Home

READY_WITHIN_S = 60
INITDB_WITHIN_S = 300
KEEP_LOGS_S = 6 * 86400


def launch(home: Home, major: int, extra_settings: Mapping[str, str]) -> None:
    """Start a server that does not run, and wait until it takes connections. Raises EmbeddedServerError.

    The caller holds the home's lock.
    """
    binaries = binaries_for(home.account, major, home.path)
    home.need_rights()
    home.make_private(home.log)
    home.make_private(home.socket)
    if home.data.exists():
        postmaster.end_orphans(home)
        _forget_dead_postmaster(home)
    else:
        _make_cluster(home, binaries, durable=extra_settings.get("fsync") != "off")
    _remove_old_logs(home)
    write_file(home.config, config.server_config(home, extra_settings))
    write_file(home.hba, config.HBA_CONFIG)
    # Only these accounts may connect, in any role. Root could become any of the others anyway.
    accounts = sorted({invoking_account().name, home.account.name, "root"})
    write_file(home.ident, "".join(f'{config.IDENT_MAP} "{name}" all\n' for name in accounts))
    _start_postmaster(home, binaries)


def _forget_dead_postmaster(home: Home) -> None:
    """Remove the files of a dead postmaster that would keep the next one from starting.

    PostgreSQL removes them itself, unless their pid belongs to another process by now or the dead one is a zombie.
    """
    socket = home.socket / SOCKET_NAME
    for left in (home.data / "postmaster.pid", socket, socket.with_name(f"{socket.name}.lock")):
        left.unlink(missing_ok=True)


def _make_cluster(home: Home, binaries: Binaries, *, durable: bool) -> None:
    """Make the cluster and its database under another name, then rename it, so that no half of it is ever there."""
    for abandoned in home.path.glob("data.new-*"):
        shutil.rmtree(abandoned, ignore_errors=True)
    new = Path(tempfile.mkdtemp(prefix="data.new-", dir=home.path))
    home.account.own(new)
    try:
        _run(home, "Making the database cluster", config.initdb_command(binaries, new, durable=durable))
        create = f"CREATE DATABASE {config.DATABASE}\n"
        postgres = binaries.program("postgres")
        single = [postgres, "--single", "-D", f"{new}", "-c", "exit_on_error=on", "postgres"]
        _run(home, "Making the database", single, stdin=create)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    new.rename(home.data)
    _sync_directory(home.path)


def _start_postmaster(home: Home, binaries: Binaries) -> None:
    """Start the postmaster in a session of its own, and wait until it is ready."""
    options = "-c config_file=" + shlex.quote(f"{home.config}")
    command = [binaries.program("pg_ctl"), "start", "-w", "-s", "-t", f"{READY_WITHIN_S}", "-D", f"{home.data}"]
    # The server writes here until its own log is open.
    with tempfile.TemporaryFile() as output:
        started = home.account.run([*command, "-o", options], output=output, timeout_s=READY_WITHIN_S + 30)
        output.seek(0)
        said = output.read().decode(errors="replace")
    if started.returncode == 0:
        return
    if postmaster.postmaster(home) is not None:
        raise postmaster.not_ready(home, READY_WITHIN_S)
    if "FATAL" not in said:
        said += _log_of_last_start(home)
    raise program_failed("Starting the embedded PostgreSQL", said, home=home.path, log=home.log)


def _run(home: Home, doing: str, command: Sequence[str], stdin: str = "") -> None:
    try:
        done = home.account.run(command, stdin=stdin, timeout_s=INITDB_WITHIN_S)
    except subprocess.TimeoutExpired:
        raise program_failed(doing, f"no end after {INITDB_WITHIN_S} s", home=home.path, log=home.log) from None
    if done.returncode != 0:
        raise program_failed(doing, done.stdout, home=home.path, log=home.log)


def _remove_old_logs(home: Home) -> None:
    """Remove last week's files. The server empties one only if it runs when that weekday begins."""
    for log in home.log.glob(config.LOG_FILES):
        if log.stat().st_mtime < time.time() - KEEP_LOGS_S:
            log.unlink()


def _log_of_last_start(home: Home) -> str:
    logs = sorted(home.log.glob(config.LOG_FILES), key=lambda log: log.stat().st_mtime)
    text = logs[-1].read_text(encoding="utf-8", errors="replace") if logs else ""
    return text.rpartition(config.LOG_START)[2]


def _sync_directory(directory: Path) -> None:
    """Write a rename in the directory to the disk, so that it survives a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
