"""PgBouncer in front of the tests' PostgreSQL, as an unprivileged user, on loopback."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
needs_pgbouncer = pytest.mark.skipif(
    PROGRAM is None, reason="PgBouncer is not installed (Debian: apt install pgbouncer)"
)


class Pooler:
    """A PgBouncer that runs: the DSN through it, and its log."""

    def __init__(self, dsn: str, log: Path) -> None:
        self.dsn = dsn
        self.log = log

    def logins(self) -> int:
        """Return how often somebody logged in."""
        return len(re.findall(r"login attempt", self.log.read_text()))


@contextmanager
def pgbouncer(database_dsn: str, mode: str = "session", **settings: str) -> Iterator[Pooler]:
    """Run PgBouncer as it comes, but for `settings`, before the server at this DSN."""
    there = urlsplit(database_dsn)
    host, port = (parse_qs(there.query)[name][-1] for name in ("host", "port"))
    listens_at = _free_port()
    owner = Path(host).stat()  # whom the server's peer authentication lets in
    is_root = os.geteuid() == 0
    assert PROGRAM is not None
    with tempfile.TemporaryDirectory(prefix="message-mirror-pgbouncer-") as name:
        directory = Path(name)
        if is_root:
            os.chown(directory, owner.st_uid, owner.st_gid)
        ours = {
            "listen_addr": "127.0.0.1",
            "listen_port": str(listens_at),
            "unix_socket_dir": "",
            "auth_type": "any",
            "pool_mode": mode,
            "logfile": str(directory / "log"),
            **settings,
        }
        lines = [
            "[databases]",
            f"* = host={host} port={port} user=mirror",
            "[pgbouncer]",
            *(f"{key} = {value}" for key, value in ours.items()),
        ]
        (directory / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
        process = subprocess.Popen(
            [PROGRAM, "-q", directory / "pgbouncer.ini"],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            user=owner.st_uid if is_root else None,
            group=owner.st_gid if is_root else None,
            extra_groups=[] if is_root else None,
        )
        try:
            _wait_for(listens_at, process)
            yield Pooler(f"postgresql://mirror@127.0.0.1:{listens_at}{there.path}", directory / "log")
        finally:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            continue
        return
    raise RuntimeError("PgBouncer did not start")
