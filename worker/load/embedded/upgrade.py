"""A data directory belongs to one major version of PostgreSQL. Others: dump and restore."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from worker.errors import EmbeddedServerError
from worker.load.embedded.account import invoking_account
from worker.load.embedded.binaries import find_binaries

if TYPE_CHECKING:
    from worker.load.embedded.home import Home


def check_version(home: Home, major: int, dsn: str) -> None:
    """Raise EmbeddedServerError if the data directory is another major version's, or not a cluster at all."""
    try:
        found = (home.data / "PG_VERSION").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise EmbeddedServerError(
            f"{home.data} is not a data directory of PostgreSQL.",
            safe="Nothing in it was changed.",
            next="Set WAREHOUSE_DIR to a directory that is empty or does not exist yet.",
        ) from None
    if found != str(major):
        raise EmbeddedServerError(
            f"The data in {home.data} are of PostgreSQL {found}, and this worker runs PostgreSQL {major}.",
            safe="The data are untouched. Nothing was started.",
            next="Dump them with the old server and restore them into a new one:\n  "
            + "\n  ".join(upgrade_steps(home, found, major, dsn)),
        )


def upgrade_steps(home: Home, found: str, major: int, dsn: str) -> list[str]:
    """Return the shell commands that bring the data from the major version `found` to `major`, in order."""
    data, old_data, dump = (
        shlex.quote(f"{path}") for path in (home.data, f"{home.data}-{found}", home.path / f"dump-{found}.sql")
    )
    options = shlex.quote("-c config_file=" + shlex.quote(f"{home.config}"))  # through two shells: pg_ctl uses one
    url = shlex.quote(dsn)
    as_account = "" if home.account == invoking_account() else f"runuser -u {home.account.name} -- "
    return [
        f"OLD={shlex.quote(_old_programs(home, found))}",
        f"NEW={shlex.quote(_new_programs(major))}",
        f'{as_account}"$OLD"/pg_ctl start -w -s -D {data} -o {options}',
        f'(umask 077 && "$OLD"/pg_dumpall -d {url} -f {dump})',
        f'{as_account}"$OLD"/pg_ctl stop -w -s -m fast -D {data}',
        f"mv {data} {old_data}",
        "message-mirror warehouse start",
        f'"$NEW"/psql -X -q -d {url} -f {dump}  # only: role "mirror", database "canvas" already exist',
        f"rm -r {dump} {old_data}  # once you have seen that all is there",
    ]


def _old_programs(home: Home, found: str) -> str:
    copies = [path.parent for path in home.path.glob(f"binaries-*-{found}/*/*/bin/postgres")]
    installed = find_binaries(int(found)) if found.isdigit() else None
    places = [
        *copies,
        *([installed.prefix / "bin"] if installed else []),
        Path(f"/usr/lib/postgresql/{found}/bin"),
    ]
    return next(
        (str(place) for place in places if place.is_dir()),
        f"…the directory of PostgreSQL {found}'s programs…",
    )


def _new_programs(major: int) -> str:
    installed = find_binaries(major)
    return str(installed.prefix / "bin") if installed else f"…the directory of PostgreSQL {major}'s programs…"
