"""The account that the server runs as.

PostgreSQL refuses to run as root, and as a uid without an entry in the user database. An ordinary user runs it as
themselves, root as an unprivileged account that exists already. No account is created, and no permission of an existing
directory is changed.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from worker.errors import EmbeddedServerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

PREFERRED = ("postgres", "nobody")

# The whole environment of the server, because the worker's own may hold the source's secrets.
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"}


@dataclass(frozen=True, slots=True)
class Account:
    """An entry of the user database."""

    name: str
    uid: int
    gid: int

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: str = "",
        output: IO[bytes] | None = None,
        timeout_s: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program as this account, in `/`, in a session of its own, and return the result.

        stdout and stderr go to `output` if it is given, or else together to the result's `stdout`. Raises OSError if
        the account may not run it, subprocess.TimeoutExpired after `timeout_s` seconds.
        """
        other = self.uid != os.geteuid()
        return subprocess.run(  # noqa: S603 - programs of PostgreSQL, found by us
            argv,
            input=stdin,
            stdout=subprocess.PIPE if output is None else output,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd="/",
            env=ENVIRONMENT,
            start_new_session=True,
            timeout=timeout_s,
            check=False,
            user=self.uid if other else None,
            group=self.gid if other else None,
            extra_groups=[] if other else None,
        )

    def reaches(self, directory: Path) -> bool:
        """Tell by trying whether this account can enter a directory that we can."""
        if self.uid == os.geteuid():
            return True
        return self.run(["/bin/sh", "-c", 'cd -- "$1"', "sh", f"{directory}"]).returncode == 0

    def own(self, path: Path) -> None:
        """Hand a file or directory that we have just made to this account."""
        if self.uid != os.geteuid():
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def invoking_account() -> Account:
    """Return our own account. Raises EmbeddedServerError for a uid that the user database does not have."""
    account = account_of(os.geteuid())
    if account is None:
        raise EmbeddedServerError(
            f"The user id {os.geteuid()} has no entry in the user database, and PostgreSQL needs one.",
            next="Set WAREHOUSE_DSN to a PostgreSQL that runs elsewhere, or run as a user of this machine.",
        )
    return account


def server_account(places: Iterable[Path]) -> Account:
    """Return the account that the server runs as: our own, unless we are root.

    For root it is the owner of the first of `places` that exists and is not root's, or else `postgres`, or else
    `nobody`. Raises EmbeddedServerError if there is none.
    """
    invoking = invoking_account()
    if invoking.uid != 0:
        return invoking
    owners: list[int | str] = [place.stat().st_uid for place in places if place.exists()]
    for account in map(account_of, [*owners, *PREFERRED]):
        if account is not None and account.uid != 0:
            return account
    raise EmbeddedServerError(
        "PostgreSQL does not run as root, and there is no account `postgres` or `nobody` to run it as.",
        next="Set WAREHOUSE_DSN to a PostgreSQL that runs elsewhere, or run as an ordinary user.",
    )


def account_of(who: int | str) -> Account | None:
    """Return the account of a uid or a name, or None if the user database has no such entry."""
    try:
        entry = pwd.getpwuid(who) if isinstance(who, int) else pwd.getpwnam(who)
    except KeyError:
        return None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
