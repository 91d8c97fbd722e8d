"""What the programs of PostgreSQL are told: configuration files and command lines. Pure.

The files lie beside the data directory and are written anew at each start, so that a newer version of the
worker brings its settings along; `postgresql.conf` and `postgresql.auto.conf` inside stay as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.load.embedded.home import PORT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from worker.load.embedded.binaries import Binaries
    from worker.load.embedded.home import Home

ROLE = "mirror"
DATABASE = "canvas"
IDENT_MAP = "mirror"

# Patients' words reach a server's log in the failing statement, its parameters, DETAIL and CONTEXT, and in
# the message itself (`invalid input syntax for type date: "…"`). The last is why no ERROR of a client is
# logged: level `log` keeps only the server's own news, FATAL and PANIC.
QUIET = {
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_min_messages": "log",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}

# As files of the data directory. /dev/shm may be too small (a container's), and logind empties it at a logout.
SHARED_MEMORY = {"dynamic_shared_memory_type": "mmap"}

# One file a weekday, emptied when its day comes round again.
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


def server_config(home: Home, compression: str, extra: Mapping[str, str]) -> str:
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
        "default_toast_compression": compression,
        **SHARED_MEMORY,
        **QUIET,
        **LOGGING,
        **extra,
    }
    lines = [f"include {quoted(str(home.data / 'postgresql.conf'))}"]
    lines += [f"{name} = {quoted(value)}" for name, value in settings.items()]
    return "# Written anew at each start. Use ALTER SYSTEM for settings of your own.\n" + "\n".join(lines) + "\n"


def initdb_command(binaries: Binaries, data: Path, *, durable: bool) -> list[str | Path]:
    """Return the command that makes a cluster: UTF-8, sorted by code point, checksums, nobody let in.

    PostgreSQL 17 brought a C.UTF-8 of its own, the same on every machine; before it, C is the one that is.
    """
    command: list[str | Path] = [
        binaries.program("initdb"),
        "-D",
        data,
        f"--username={ROLE}",
        "--encoding=UTF8",
        "--locale=C",
    ]
    if binaries.major >= 17:
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    for name, value in SHARED_MEMORY.items():
        command += ["--set", f"{name}={value}"]
    if not durable:
        command += ["--no-sync"]
    return [*command, "--data-checksums", "--auth-local=peer", "--auth-host=reject"]


def single_user_command(binaries: Binaries, data: Path) -> list[str | Path]:
    """Return the command that runs SQL from stdin on a cluster without a server, up to the first error."""
    return [binaries.program("postgres"), "--single", "-D", data, "-c", "exit_on_error=on", "postgres"]


def start_command(binaries: Binaries, data: Path, options: str, timeout_s: int) -> list[str | Path]:
    """Return the command that starts the postmaster in a session of its own and waits until it is ready."""
    pg_ctl = binaries.program("pg_ctl")
    return [pg_ctl, "start", "-w", "-s", "-t", str(timeout_s), "-D", data, "-o", options]


def hba_config() -> str:
    """Return the text of `pg_hba.conf`: by the socket only, and the kernel says who is there (peer)."""
    return f"local all all peer map={IDENT_MAP}\n"


def ident_config(names: Iterable[str]) -> str:
    """Return the text of `pg_ident.conf`: these accounts may take any role, nobody else any."""
    return "".join(f'{IDENT_MAP} "{name}" all\n' for name in sorted(set(names)))


def quoted(value: str) -> str:
    """Return a value as a configuration file of PostgreSQL takes it."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
