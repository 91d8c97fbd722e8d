"""The configuration files of an embedded server, and the command that makes its cluster. Pure.

The files are beside the data directory and written anew at each start, so that the settings of a newer version of the
worker apply. `postgresql.conf` and `postgresql.auto.conf` in the data directory stay as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.load.embedded.home import PORT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from worker.load.embedded.binaries import Binaries
    from worker.load.embedded.home import Home

ROLE = "mirror"
DATABASE = "canvas"
IDENT_MAP = "mirror"
HBA_CONFIG = f"local all all peer map={IDENT_MAP}\n"
"""The text of `pg_hba.conf`: only the socket lets in, and the kernel says who connects (peer)."""

# Patients' words could get into the log by a failing statement, its parameters, DETAIL and CONTEXT, and by the message
# itself (`invalid input syntax for type date: "…"`). So no ERROR of a client is logged, only the server's own messages,
# FATAL and PANIC.
QUIET = {
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_min_messages": "log",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}

# In files of the data directory, because /dev/shm may be too small (in a container), and logind empties it at a logout.
SHARED_MEMORY = {"dynamic_shared_memory_type": "mmap"}

# One file for each weekday, emptied when its day begins while the server runs, or removed at a later start.
LOG_FILES = "server-*.log"
LOG_START = "starting PostgreSQL"  # in the first line of each start
LOGGING = {
    "log_destination": "stderr",
    "logging_collector": "on",
    "log_filename": "server-%a.log",
    "log_file_mode": "0600",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_truncate_on_rotation": "on",
    "log_line_prefix": "%m [%p] ",
}


def server_config(home: Home, extra: Mapping[str, str]) -> str:
    """Return the text of `mirror.conf`. `extra` comes last and wins."""
    settings = {
        "listen_addresses": "",
        "port": str(PORT),
        "unix_socket_directories": str(home.socket),
        "unix_socket_permissions": "0700",
        "hba_file": str(home.hba),
        "ident_file": str(home.ident),
        "log_directory": str(home.log),
        "max_connections": "100",
        "timezone": "UTC",
        "log_timezone": "UTC",
        **SHARED_MEMORY,
        **QUIET,
        **LOGGING,
        **extra,
    }
    lines = [f"include {quoted(str(home.data / 'postgresql.conf'))}"]
    lines += [f"{name} = {quoted(value)}" for name, value in settings.items()]
    return "# Written anew at each start. Use ALTER SYSTEM for settings of your own.\n" + "\n".join(lines) + "\n"


def initdb_command(binaries: Binaries, data: Path, *, durable: bool) -> list[str]:
    """Return the command that makes a cluster: UTF-8, sorted by code point, with checksums, nobody let in yet.

    PostgreSQL 17 and newer have a C.UTF-8 that is the same on every machine. Before that, only C was.
    """
    command = [binaries.program("initdb"), "-D", f"{data}", f"--username={ROLE}"]
    command += ["--encoding=UTF8", "--locale=C"]
    if binaries.major >= 17:
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    for name, value in SHARED_MEMORY.items():
        command += ["--set", f"{name}={value}"]
    if not durable:
        command += ["--no-sync"]
    return [*command, "--data-checksums", "--auth-local=peer", "--auth-host=reject"]


def quoted(value: str) -> str:
    """Return a value in the quotes of PostgreSQL's configuration files."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
