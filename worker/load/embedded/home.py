"""Where an embedded server keeps its files, and who may enter there.

Normally that is the directory that the user named. Root's server runs as another account. If that account cannot enter
the directory (it lies below a 0700 home), the files are elsewhere, and the file `server-is-at` in it says where.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import tempfile
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from worker.errors import EmbeddedServerError
from worker.load.embedded.account import Account, server_account
from worker.load.embedded.failure import SAFE

if TYPE_CHECKING:
    from collections.abc import Iterator

ELSEWHERE = Path("/var/lib/canvas-message-mirror")
POINTER = "server-is-at"
LOCK = "start.lock"
PORT = 5432  # names the socket file; nothing listens on TCP
SOCKET_NAME = f".s.PGSQL.{PORT}"

# sun_path of sockaddr_un holds 108 bytes on Linux and 104 on macOS, the closing NUL included.
SOCKET_PATH_MAX_BYTES = 103
# A socket's directory stands in a URL and in a comma-separated list: other characters would need escaping.
PLAIN_PATH = re.compile(r"/[A-Za-z0-9._/-]+")


class Home:
    """The paths of an embedded server's data, log, socket and configuration, and the account that it runs as."""

    def __init__(self, path: Path, account: Account) -> None:
        self.path = path
        self.account = account
        self.data = path / "data"
        self.log = path / "log"
        self.config = path / "mirror.conf"
        self.hba = path / "pg_hba.conf"
        self.ident = path / "pg_ident.conf"
        self.socket = path / "socket"
        # The path of a socket must be short. Neither TMPDIR nor XDG_RUNTIME_DIR: they differ between a login and a
        # nightly job, which must meet the same server, and the latter is removed at logout.
        is_short = len(str(self.socket / SOCKET_NAME)) <= SOCKET_PATH_MAX_BYTES
        if not is_short or not PLAIN_PATH.fullmatch(str(self.socket)):
            self.socket = Path("/tmp") / f"message-mirror-{account.uid}-{_digest(path)}"  # noqa: S108 - verified

    def is_private(self, directory: Path) -> bool:
        """Tell whether only the server's account can enter this directory, so that its content can be trusted."""
        try:
            found = directory.lstat()
        except FileNotFoundError:
            return False
        return stat.S_ISDIR(found.st_mode) and found.st_uid == self.account.uid and not found.st_mode & 0o077

    def need_rights(self) -> None:
        """Raise EmbeddedServerError if the file system has no permissions, so that nothing on it could be private."""
        probe = Path(tempfile.mkdtemp(prefix=".rights-", dir=self.path))
        try:
            self.account.own(probe)
            kept = self.is_private(probe)
        except PermissionError:
            kept = False
        finally:
            probe.rmdir()
        if not kept:
            raise EmbeddedServerError(
                f"The file system of {self.path} knows no rights: nothing on it can be kept from other users.",
                safe="Nothing was started.",
                next="Put WAREHOUSE_DIR on a Linux file system (WSL: below your home there, not below /mnt/c).",
            )

    def make_private(self, directory: Path) -> None:
        """Make a directory for the server's account alone. Raises EmbeddedServerError if others can enter it."""
        with suppress(FileExistsError):
            directory.mkdir(mode=0o700)
            self.account.own(directory)
        if not self.is_private(directory):
            raise EmbeddedServerError(
                f"{directory} is not a directory that only the account `{self.account.name}` can enter.",
                safe="Nothing was started, and nothing in it was changed.",
                next="Remove it if it is yours, or set WAREHOUSE_DIR to another directory with a short path.",
            )

    def remove(self) -> None:
        """Delete all files of the server, including its data, and the directory if it is empty then."""
        left = [*self.path.glob("data.new-*"), *self.path.glob("binaries-*")]
        for directory in (self.data, self.log, self.socket, *left):
            if directory.exists():
                shutil.rmtree(directory)
        for file in (self.config, self.hba, self.ident):
            file.unlink(missing_ok=True)
        remove_if_empty(self.path)


def find_home(directory: Path, elsewhere: Path = ELSEWHERE) -> Home:
    """Return the home that belongs to a directory, whether it has a server yet or not."""
    pointer = directory / POINTER
    path = directory
    if pointer.is_file():
        path = elsewhere / Path(pointer.read_text(encoding="utf-8").strip()).name
    return _home(path, directory)


def reachable_home(home: Home, directory: Path, elsewhere: Path = ELSEWHERE) -> Home:
    """Return the home if the server's account can enter it, or else another one, if it holds no data yet.

    Raises EmbeddedServerError if the account can enter neither, or if the data were kept elsewhere and are gone.
    """
    if not home.path.is_dir():
        raise EmbeddedServerError(
            f"The data of this warehouse were kept in {home.path}, and that directory is gone.",
            safe="Nothing was changed.",
            next=f"Bring it back, or begin with an empty warehouse: rm '{directory / POINTER}'",
        )
    if home.account.reaches(home.path):
        return home
    path = elsewhere / f"{directory.name}-{_digest(directory)}"
    if not home.data.exists():
        make_directory(path)
        if home.account.reaches(path):
            write_file(directory / POINTER, f"{path}\n")
            return _home(path, directory)
    raise EmbeddedServerError(
        f"Root's PostgreSQL runs as `{home.account.name}`, and that account cannot reach {home.path}.",
        safe=SAFE,
        next="Let it pass through the directories above, or set WAREHOUSE_DIR to another one, for example below /srv.",
    )


def make_directory(path: Path) -> None:
    """Make a directory if it does not exist, for us alone; if we are root, others may pass through it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir()
    except FileExistsError:
        return
    path.chmod(0o711 if os.geteuid() == 0 else 0o700)


def remove_if_empty(directory: Path) -> None:
    """Remove a directory if it is empty and we may write to its parent."""
    if directory.is_dir() and not any(directory.iterdir()) and os.access(directory.parent, os.W_OK):
        directory.rmdir()


def write_file(path: Path, text: str) -> None:
    """Replace a file as a whole, readable for everybody who can enter its directory. It follows no symbolic link."""
    with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as temporary:
        new = Path(temporary, path.name)
        new.write_text(text, encoding="utf-8")
        new.chmod(0o644)
        new.replace(path)


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Wait for the directory's lock, and hold it. The kernel releases it when its holder ends, in whatever way."""
    path = directory / LOCK
    while (descriptor := _lock(path)) is None:
        pass
    try:
        yield
    finally:
        os.close(descriptor)


def _lock(path: Path) -> int | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    if os.geteuid() == 0:
        # The directory's owner must be able to take it later.
        owner = path.parent.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    if path.exists() and os.path.samestat(path.stat(), os.fstat(descriptor)):
        return descriptor
    os.close(descriptor)  # its holder removed the warehouse, and the lock with it
    return None


def _home(path: Path, directory: Path) -> Home:
    return Home(path, server_account([path / "data", directory]))


def _digest(path: Path) -> str:
    return sha256(os.fsencode(path)).hexdigest()[:16]
