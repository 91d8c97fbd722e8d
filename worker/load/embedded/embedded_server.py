"""The embedded PostgreSQL for the rest of the worker: started when it is needed, and left running for analysts.

A call may take seconds. Asynchronous code uses `asyncio.to_thread`.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import quote

from worker.errors import EmbeddedServerError
from worker.load.embedded import postmaster
from worker.load.embedded.account import invoking_account
from worker.load.embedded.binaries import find_binaries
from worker.load.embedded.config import DATABASE, ROLE
from worker.load.embedded.failure import said_for_people
from worker.load.embedded.home import (
    ELSEWHERE,
    LOCK,
    POINTER,
    PORT,
    Home,
    find_home,
    locked,
    make_directory,
    reachable_home,
    remove_if_empty,
)
from worker.load.embedded.launch import READY_WITHIN_S, launch
from worker.load.postgres.dsn import EmbeddedUrl

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# Debian has the usual terminals in /lib, but the wheel's psql looks only below /usr.
TERMINFO_DIRS = "/etc/terminfo:/lib/terminfo:/usr/share/terminfo"
READER = "pg_read_all_data"


class EmbeddedServer:
    """A PostgreSQL server that keeps its data in a directory, and serves this user on a socket.

    `directory` is made if it does not exist. `extra_settings` are for tests: settings of PostgreSQL that replace ours
    from the next start on. `elsewhere` is the place of data that root's server cannot reach in `directory`.
    """

    def __init__(
        self,
        directory: Path,
        *,
        major: int = 18,
        extra_settings: Mapping[str, str] | None = None,
        elsewhere: Path = ELSEWHERE,
    ) -> None:
        self.directory = directory.resolve()
        self.major = major
        self.extra_settings = dict(extra_settings or {})
        self.elsewhere = elsewhere.resolve()

    def start(self) -> str:
        """Start the server unless it runs, and return the DSN. The first time this makes the cluster and the database.

        If several processes call it at once, one starts the server and the others wait. Raises EmbeddedServerError.
        """
        with said_for_people(self.directory):
            invoking_account()
            make_directory(self.directory)
            with locked(self.directory):
                home = self._home()
                if home.data.exists():
                    _check_version(home, self.major)
                if not _runs(home):
                    postmaster.stop(home)
                    home = reachable_home(home, self.directory, self.elsewhere)
                    launch(home, self.major, self.extra_settings)
                return _url(home)

    def dsn(self, database: str = DATABASE) -> str:
        """Return the URL of a database, for asyncpg, libpq and SQLAlchemy alike. It holds no secret.

        Raises EmbeddedServerError if the server was never started.
        """
        with said_for_people(self.directory):
            home = self._home()
            if home.data.exists():
                return _url(home, database)
        raise EmbeddedServerError(
            f"There is no embedded PostgreSQL in {self.directory}.",
            safe="Nothing was started, and nothing was made.",
            next="Set WAREHOUSE_DIR to the directory where it is (that of the demo is .warehouse-demo), or make"
            " a new one here: message-mirror warehouse start",
        )

    def stop(self) -> bool:
        """Stop the server, and wait for its end. Open transactions are rolled back. Return False if none was running.

        Raises EmbeddedServerError if it does not end.
        """
        with said_for_people(self.directory):
            if not self.directory.is_dir():
                return False
            with locked(self.directory):
                return postmaster.stop(self._home())

    def remove(self) -> None:
        """Stop the server and delete all its data for good, wherever they are.

        Other files in the directory stay. Raises EmbeddedServerError.
        """
        with said_for_people(self.directory):
            if not self.directory.is_dir():
                return
            with locked(self.directory):
                home = self._home()
                postmaster.stop(home)
                postmaster.end_orphans(home)
                home.remove()
                (self.directory / POINTER).unlink(missing_ok=True)
                (self.directory / LOCK).unlink()
            for place in (self.directory, self.elsewhere):
                remove_if_empty(place)

    def start_again(self) -> str:
        """Start the server unless it runs, and return the DSN. Raises EmbeddedServerError if there is none yet.

        It is for readers: a new server in a mistyped directory would be empty.
        """
        self.dsn()
        return self.start()

    def psql(self, schema: str, args: Sequence[str] = ()) -> NoReturn:
        """Replace this process by `psql`, which reads the warehouse, and finds tables of `schema` by their bare names.

        The role of the session is PostgreSQL's `pg_read_all_data`, until `SET ROLE NONE`. Raises EmbeddedServerError if
        there is no server, or no `psql`.
        """
        dsn = self.start_again()
        installed = find_binaries(self.major)
        program = installed.program("psql") if installed else shutil.which("psql")
        if program is None or not os.access(program, os.X_OK):
            raise EmbeddedServerError(
                "There is no program `psql` here.",
                safe="The server and its data are untouched.",
                next=f"Install one (Debian: apt install postgresql-client), then: psql '{dsn}'",
            )
        reader = f"-c role={READER} -c search_path={schema},public {os.environ.get('PGOPTIONS', '')}"
        environment = {"TERMINFO_DIRS": TERMINFO_DIRS, **os.environ, "PGOPTIONS": reader}
        os.execve(program, [program, "--dbname", dsn, *args], environment)  # noqa: S606 - no shell is wanted

    def _home(self) -> Home:
        return find_home(self.directory, self.elsewhere)


def _check_version(home: Home, major: int) -> None:
    """Raise EmbeddedServerError if the data directory belongs to another major version, or is not a cluster at all."""
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
            next="Dump them with the version of the worker that wrote them (pg_dump of `message-mirror warehouse dsn`),"
            " and restore the dump into a new WAREHOUSE_DIR.",
        )


def _url(home: Home, database: str = DATABASE) -> EmbeddedUrl:
    # The port, although it is the usual one: PGPORT in the environment would change it.
    return EmbeddedUrl(f"postgresql://{ROLE}@/{quote(database)}?host={home.socket}&port={PORT}", home.log)


def _runs(home: Home) -> bool:
    if postmaster.postmaster(home) is None:
        # A socket that answers all the same: the server runs in another container on the same volume.
        return postmaster.answers(home)
    return postmaster.wait_until_ready(home, READY_WITHIN_S)
