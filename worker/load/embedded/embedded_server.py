"""The embedded PostgreSQL as the rest of the worker sees it: started when needed, left up for analysts.

Synchronous, and a call may take seconds: from asynchronous code use `asyncio.to_thread`.
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
from worker.load.embedded.upgrade import check_version
from worker.load.postgres.dsn import EmbeddedUrl

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# Debian keeps the usual terminals in /lib; the wheel's psql would look below /usr only.
TERMINFO_DIRS = "/etc/terminfo:/lib/terminfo:/usr/share/terminfo"


READER = "pg_read_all_data"


class EmbeddedServer:
    """One PostgreSQL server that keeps its data in a directory, and serves this user on a socket.

    `directory` is made if need be. `extra_settings` are for tests: settings of PostgreSQL that win over ours
    from the next start on. `elsewhere` is where data go that root's server could not reach in the directory.
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
        """Start the server unless it runs, making cluster and database the first time, and return the DSN.

        When several processes do so at once, one starts it and the others wait. Raises EmbeddedServerError.
        """
        with said_for_people(self.directory):
            invoking_account()
            make_directory(self.directory)
            with locked(self.directory):
                home = self._home()
                if home.data.exists():
                    check_version(home, self.major, _url(home))
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

    def is_running(self) -> bool:
        """Tell whether the server takes connections."""
        with said_for_people(self.directory):
            return postmaster.is_ready(self._home())

    def stop(self) -> bool:
        """Stop the server, rolling back what is under way, and wait for its end. False if none was running.

        Raises EmbeddedServerError if it does not end.
        """
        with said_for_people(self.directory):
            if not self.directory.is_dir():
                return False
            with locked(self.directory):
                return postmaster.stop(self._home())

    def remove(self) -> None:
        """Stop the server and delete it with all its data, wherever they are kept. For good.

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

        For whoever wants to read: a server that is made anew, in the wrong directory, is empty.
        """
        self.dsn()
        return self.start()

    def psql(self, schema: str, args: Sequence[str] = ()) -> NoReturn:
        """Become `psql`, which reads the warehouse, and finds the tables of `schema` by their bare names.

        The role of the session is PostgreSQL's `pg_read_all_data`, until `SET ROLE NONE`. Raises EmbeddedServerError if
        there is no server, or no `psql`.
        """
        dsn = self.start_again()
        installed = find_binaries(self.major)
        program = str(installed.program("psql")) if installed else shutil.which("psql")
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


def _url(home: Home, database: str = DATABASE) -> EmbeddedUrl:
    # The port, although it is the usual one: PGPORT in the environment would change it.
    return EmbeddedUrl(f"postgresql://{ROLE}@/{quote(database)}?host={home.socket}&port={PORT}", home.log)


def _runs(home: Home) -> bool:
    if postmaster.postmaster(home) is None:
        # A socket that answers all the same: the server runs in another container on the same volume.
        return postmaster.answers(home)
    return postmaster.wait_until_ready(home, READY_WITHIN_S)
