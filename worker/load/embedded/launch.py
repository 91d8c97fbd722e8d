"""Bringing a server up: the cluster if there is none, its configuration, the postmaster."""

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
from worker.load.embedded.home import socket_name, write_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from worker.load.embedded.home import Home

READY_WITHIN_S = 60
INITDB_WITHIN_S = 300
KEEP_LOGS_S = 6 * 86400


def launch(home: Home, major: int, extra_settings: Mapping[str, str]) -> None:
    """Start a server that does not run, and return when it takes connections. Raises EmbeddedServerError.

    Whoever calls holds the home's lock.
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
    _write_config(home, binaries, extra_settings)
    _start_postmaster(home, binaries)


def _forget_dead_postmaster(home: Home) -> None:
    """Remove the files by which a postmaster that is dead would keep the next one from starting.

    PostgreSQL removes them itself unless the pid in them is another process's by now, or nobody has asked after
    the dead one yet (a zombie).
    """
    socket = home.socket / socket_name()
    for left in (home.data / "postmaster.pid", socket, socket.with_name(f"{socket.name}.lock")):
        left.unlink(missing_ok=True)


def _make_cluster(home: Home, binaries: Binaries, *, durable: bool) -> None:
    """Make the cluster and its database beside their place, then move them there: whole, or not at all."""
    for abandoned in home.path.glob("data.new-*"):
        shutil.rmtree(abandoned, ignore_errors=True)
    new = Path(tempfile.mkdtemp(prefix="data.new-", dir=home.path))
    home.account.own(new)
    try:
        _run(home, "Making the database cluster", config.initdb_command(binaries, new, durable=durable))
        create = f"CREATE DATABASE {config.DATABASE}\n"
        _run(home, "Making the database", config.single_user_command(binaries, new), stdin=create)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    new.rename(home.data)
    _sync_directory(home.path)


def _write_config(home: Home, binaries: Binaries, extra_settings: Mapping[str, str]) -> None:
    compression = binaries.compression(home.account)
    write_file(home.config, config.server_config(home, compression, extra_settings))
    write_file(home.hba, config.hba_config())
    # Root is let in whoever starts the server: it could become any of the others anyway.
    write_file(home.ident, config.ident_config({invoking_account().name, home.account.name, "root"}))


def _start_postmaster(home: Home, binaries: Binaries) -> None:
    options = "-c config_file=" + shlex.quote(str(home.config))
    command = config.start_command(binaries, home.data, options, READY_WITHIN_S)
    # What the server says before its own log is open goes here.
    with tempfile.TemporaryFile() as output:
        started = home.account.run(command, output=output, timeout_s=READY_WITHIN_S + 30)
        output.seek(0)
        said = output.read().decode(errors="replace")
    if started.returncode == 0:
        return
    if postmaster.postmaster(home) is not None:
        raise postmaster.not_ready(home, READY_WITHIN_S)
    if "FATAL" not in said:
        said += _log_of_last_start(home)
    raise program_failed("Starting the embedded PostgreSQL", said, home=home.path, log=home.log)


def _run(home: Home, doing: str, command: Sequence[str | Path], stdin: str = "") -> None:
    try:
        done = home.account.run(command, stdin=stdin, timeout_s=INITDB_WITHIN_S)
    except subprocess.TimeoutExpired:
        raise program_failed(doing, f"no end after {INITDB_WITHIN_S} s", home=home.path, log=home.log) from None
    if done.returncode != 0:
        raise program_failed(doing, done.stdout, home=home.path, log=home.log)


def _remove_old_logs(home: Home) -> None:
    """Remove last week's files: the server empties them only if it is up when their day begins."""
    for log in home.log.glob(config.LOG_FILES):
        if log.stat().st_mtime < time.time() - KEEP_LOGS_S:
            log.unlink()


def _log_of_last_start(home: Home) -> str:
    logs = sorted(home.log.glob(config.LOG_FILES), key=lambda log: log.stat().st_mtime)
    text = logs[-1].read_text(encoding="utf-8", errors="replace") if logs else ""
    return text.rpartition(config.LOG_START)[2]


def _sync_directory(directory: Path) -> None:
    """Make a rename in the directory outlive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
