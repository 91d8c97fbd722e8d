"""The embedded server, for real: its life, its crashes, and who gets in."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import psutil  # type: ignore[import-untyped]  # it ships no types
import pytest

from tests.conftest import QUICK
from worker.errors import EmbeddedServerError
from worker.load.embedded import EmbeddedServer
from worker.load.embedded.failure import program_failed, said_for_people
from worker.load.embedded.home import Home, find_home
from worker.load.embedded.postmaster import is_ready, pid_file

if TYPE_CHECKING:
    from collections.abc import Iterator

KEEP_SEVEN = ("DROP TABLE IF EXISTS kept", "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (7)")
START = "import sys; from tests.integration.test_embedded import quick_server; print(quick_server(sys.argv[1]).start())"


def quick_server(directory: Path | str, *, major: int = 18) -> EmbeddedServer:
    """Return a server that does not wait for the disk, and moves, if it must, no farther than this run's directory."""
    elsewhere = Path(os.environ["MESSAGE_MIRROR_TEST_RUN"], "elsewhere")
    return EmbeddedServer(Path(directory), major=major, extra_settings=QUICK, elsewhere=elsewhere)


@pytest.fixture
def directory(run_directory: Path) -> Iterator[Path]:
    """Name a place for a server, not made yet. What is in it is stopped and removed after the test."""
    place = run_directory / uuid4().hex
    yield place
    for lock in list(place.rglob("start.lock")):
        quick_server(lock.parent).remove()
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(scope="module")
def set_up(run_directory: Path) -> Iterator[EmbeddedServer]:
    """Set up one server for all tests that do not ask for a new one."""
    server = quick_server(run_directory / f"set-up-{os.getpid()}")
    yield server
    server.remove()


@pytest.fixture
def running(set_up: EmbeddedServer) -> EmbeddedServer:
    """See that the server runs, whatever the test before did to it."""
    set_up.start()
    return set_up


def home_of(server: EmbeddedServer) -> Home:
    return find_home(server.directory, server.elsewhere)


def is_up(server: EmbeddedServer) -> bool:
    return is_ready(home_of(server))


def pid_of(server: EmbeddedServer) -> int:
    named = pid_file(home_of(server).data)
    assert named is not None
    return named[0]


def kill_postmaster(server: EmbeddedServer) -> None:
    """`kill -9`, and wait until the kernel has taken its files away."""
    postmaster = psutil.Process(pid_of(server))
    postmaster.kill()
    while postmaster.is_running() and postmaster.status() != psutil.STATUS_ZOMBIE:
        pass


def execute(dsn: str, *statements: str) -> None:
    """Run statements one by one, outside of any test's event loop."""
    for statement in statements:
        value(dsn, statement)


def value(dsn: str, query: str) -> object:
    """Return the first value of a query's first row."""

    async def fetch() -> object:
        connection = await asyncpg.connect(dsn)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    return asyncio.run(fetch())


async def wait_until_recovered(dsn: str) -> None:
    while True:
        try:
            connection = await asyncpg.connect(dsn)
        except (asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError):
            continue
        await connection.close()
        return


async def wait_for_backend(dsn: str, pid: int, wait_event: str | None) -> None:
    """Wait until a backend executes a statement and waits for this event, or for nothing if None."""
    query = "SELECT (state, wait_event) IS NOT DISTINCT FROM ('active', $2) FROM pg_stat_activity WHERE pid = $1"
    connection = await asyncpg.connect(dsn)
    while not await connection.fetchval(query, pid, wait_event):
        pass
    await connection.close()


def python(code: str, *args: Path | str) -> subprocess.Popen[str]:
    root = Path(__file__).parents[2]
    return subprocess.Popen(
        [sys.executable, "-c", code, *args], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


class TestLife:
    def test_data_survive_stop_and_start(self, running: EmbeddedServer) -> None:
        execute(running.start(), *KEEP_SEVEN)
        assert running.stop()
        assert not is_up(running)
        assert not running.stop()
        assert value(running.start(), "SELECT n FROM kept") == 7

    def test_a_start_removes_the_logs_of_last_week(self, running: EmbeddedServer) -> None:
        log = home_of(running).log
        of_last_week, of_yesterday = log / "server-Old.log", log / "server-New.log"
        assert running.stop()
        for path, days in ((of_last_week, 7), (of_yesterday, 1)):
            path.touch()
            os.utime(path, (time.time() - days * 86400,) * 2)
        running.start()
        assert not of_last_week.exists()
        assert of_yesterday.exists()

    def test_starting_a_running_server_leaves_it_alone(self, running: EmbeddedServer) -> None:
        before = pid_of(running)
        assert running.start() == running.dsn()
        assert pid_of(running) == before
        assert is_up(running)

    def test_processes_that_start_it_at_once_get_one_server(self, directory: Path) -> None:
        starters = [python(START, directory) for _ in range(3)]
        said = [starter.communicate() for starter in starters]
        server = quick_server(directory)
        assert [out.strip() for out, _ in said] == [server.dsn()] * 3, said
        log = "".join(file.read_text() for file in home_of(server).log.iterdir())
        assert log.count("starting PostgreSQL") == 1

    def test_it_is_no_child_of_the_terminal(self, running: EmbeddedServer) -> None:
        """Ctrl-C reaches the sessions of a terminal, so the server has one of its own."""
        assert os.getsid(pid_of(running)) == pid_of(running) != os.getsid(0)

    def test_remove_takes_the_server_and_leaves_other_files(self, directory: Path) -> None:
        directory.mkdir()
        (directory / "notes.txt").write_text("mine")
        server = quick_server(directory)
        server.start()
        pid = pid_of(server)
        server.remove()
        assert [path.name for path in directory.iterdir()] == ["notes.txt"]
        assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE

    def test_a_server_that_never_was_is_not_running_and_has_no_dsn(self, directory: Path) -> None:
        server = quick_server(directory)
        assert not is_up(server)
        assert not server.stop()
        server.remove()
        with pytest.raises(EmbeddedServerError) as refused:
            server.dsn()
        assert refused.value.next.endswith("message-mirror warehouse start")
        assert str(directory) in refused.value.what
        assert not directory.exists()

    def test_psql_of_the_wheel_connects(self, running: EmbeddedServer) -> None:
        code = "import sys; from tests.integration.test_embedded import quick_server; "
        code += "quick_server(sys.argv[1]).psql('canvas', ['-X', '-A', '-t', '-c', 'SELECT 6 * 7'])"
        out, error = python(code, running.directory).communicate()
        assert out == "42\n", error


class TestCrash:
    def test_committed_rows_survive_kill_9_of_the_postmaster(self, running: EmbeddedServer) -> None:
        execute(running.start(), *KEEP_SEVEN)
        kill_postmaster(running)
        assert not is_up(running)
        assert value(running.start(), "SELECT n FROM kept") == 7

    def test_a_pid_that_is_another_process_by_now_blocks_nothing_and_is_left_alone(
        self, running: EmbeddedServer
    ) -> None:
        execute(running.start(), *KEEP_SEVEN)
        left = (home_of(running).data / "postmaster.pid").read_text()
        kill_postmaster(running)
        account = home_of(running).account
        other_user = account.uid if account.uid != os.geteuid() else None
        stranger = subprocess.Popen(["sleep", "1000"], user=other_user)
        try:
            changed = left.replace(left.splitlines()[0], str(stranger.pid), 1)
            (home_of(running).data / "postmaster.pid").write_text(changed)
            assert not is_up(running)
            assert not running.stop()
            assert value(running.start(), "SELECT n FROM kept") == 7
            assert stranger.poll() is None
        finally:
            stranger.kill()
            stranger.wait()

    async def test_a_backend_that_outlives_its_postmaster_is_ended(self, running: EmbeddedServer) -> None:
        dsn = await asyncio.to_thread(running.start)
        busy = await asyncpg.connect(dsn)
        endless = asyncio.ensure_future(busy.execute("DO 'BEGIN LOOP END LOOP; END'"))
        await wait_for_backend(dsn, busy.get_server_pid(), None)
        kill_postmaster(running)
        await asyncio.to_thread(running.start)
        await (await asyncpg.connect(dsn)).close()
        with pytest.raises((asyncpg.PostgresError, OSError)):
            await endless
        busy.terminate()

    def test_a_set_up_killed_half_way_is_begun_again(self, directory: Path) -> None:
        starter = python(START, directory)
        while not list(directory.glob("data.new-*/PG_VERSION")):
            assert starter.poll() is None
        starter.kill()
        starter.communicate()
        assert not (directory / "data").exists()
        assert value(quick_server(directory).start(), "SELECT 1") == 1

    def test_a_server_that_cannot_start_says_why(self, running: EmbeddedServer) -> None:
        running.stop()
        server = EmbeddedServer(running.directory, extra_settings={"no_such_setting": "1"})
        with pytest.raises(EmbeddedServerError, match="no_such_setting") as refused:
            server.start()
        assert "WAREHOUSE_DSN" in refused.value.next
        assert not is_up(server)


class TestPrivacy:
    def test_only_the_socket_leads_in_and_only_for_its_owner(self, running: EmbeddedServer) -> None:
        home = home_of(running)
        found = home.socket.stat()
        assert (stat.S_IMODE(found.st_mode), found.st_uid) == (0o700, home.account.uid)
        assert stat.S_IMODE(home.data.stat().st_mode) == 0o700
        assert psutil.Process(pid_of(running)).net_connections("inet") == []

    def test_the_kernel_vouches_for_who_connects(self, running: EmbeddedServer) -> None:
        """One rule, peer; and the map holds this user, the server's account and root, nobody else."""
        assert value(running.dsn(), "SELECT array_agg(auth_method) FROM pg_hba_file_rules") == ["peer"]
        names = value(running.dsn(), "SELECT array_agg(sys_name) FROM pg_ident_file_mappings")
        assert isinstance(names, list)
        assert set(names) == {psutil.Process().username(), home_of(running).account.name, "root"}

    async def test_settings_are_those_promised(self, running: EmbeddedServer) -> None:
        expected = {
            "listen_addresses": "",
            "log_error_verbosity": "terse",
            "log_min_error_statement": "panic",
            "log_parameter_max_length": "0",
            "log_parameter_max_length_on_error": "0",
            "server_encoding": "UTF8",
            "TimeZone": "UTC",
            "data_checksums": "on",
            "max_connections": "100",
        }
        connection = await asyncpg.connect(running.dsn())
        found = await connection.fetch("SELECT name, setting FROM pg_settings WHERE name = ANY($1)", list(expected))
        await connection.close()
        assert {row["name"]: row["setting"] for row in found} == expected

    async def test_the_servers_log_holds_nothing_of_a_failing_statement(self, running: EmbeddedServer) -> None:
        """Neither statement, parameter, DETAIL nor the message itself, and not when a backend is killed."""
        connection = await asyncpg.connect(await asyncio.to_thread(running.start))
        await connection.execute("CREATE TABLE logged (id text PRIMARY KEY, n int CHECK (n > 0))")
        insert = "INSERT INTO logged VALUES ($1, $2)"
        await connection.execute(insert, "canary", 1)
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.execute(insert, "canary", 1)
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute("INSERT INTO logged VALUES ('canary two', -1)")
        with pytest.raises(asyncpg.InvalidDatetimeFormatError):
            await connection.execute("SELECT 'canary'::text::date")
        with pytest.raises(asyncpg.RaiseError):
            await connection.execute("DO $$ BEGIN RAISE 'canary'; END $$")
        sleeping = asyncio.ensure_future(connection.execute("SELECT pg_sleep(1000), 'canary'"))
        pid = connection.get_server_pid()
        await wait_for_backend(running.dsn(), pid, "PgSleep")
        os.kill(pid, signal.SIGKILL)
        with pytest.raises((asyncpg.PostgresError, OSError)):
            await sleeping
        await wait_until_recovered(running.dsn())
        await asyncio.to_thread(running.stop)
        log = "".join(file.read_text() for file in home_of(running).log.iterdir())
        assert "was terminated by signal 9" in log
        assert "canary" not in log

    def test_the_server_does_not_inherit_our_secrets(
        self, running: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CANVAS_CLIENT_SECRET", "hush")
        running.stop()
        running.start()
        assert "hush" not in psutil.Process(pid_of(running)).environ().values()


class TestOtherVersion:
    def test_it_is_refused_and_left_alone(self, directory: Path) -> None:
        old = quick_server(directory, major=16)
        execute(old.start(), *KEEP_SEVEN)
        old.stop()
        with pytest.raises(EmbeddedServerError, match=r"PostgreSQL 16.* PostgreSQL 18") as refused:
            quick_server(directory).start()
        assert "pg_dump" in refused.value.next
        assert value(old.start(), "SELECT n FROM kept") == 7

    def test_a_directory_that_is_no_cluster_is_left_alone(self, directory: Path) -> None:
        (directory / "data").mkdir(parents=True)
        (directory / "data" / "thesis.txt").write_text("mine")
        with pytest.raises(EmbeddedServerError, match="not a data directory"):
            quick_server(directory).start()
        assert (directory / "data" / "thesis.txt").read_text() == "mine"


class TestFailures:
    @pytest.mark.parametrize(
        ("printed", "what", "then"),
        [
            ("FATAL:  could not write to file: No space left on device", "disk is full", "Make room"),
            ("FATAL:  could not create any Unix-domain sockets", "could not make its socket", "WAREHOUSE_DIR"),
            ("FATAL:  could not map anonymous shared memory", "no shared memory", "--shm-size"),
            (
                'FATAL:  could not resize shared memory segment "/PostgreSQL.1" to 1 bytes: No space left on device',
                "no shared memory",
                "--shm-size",
            ),
            ("initdb: error: something new", "something new", "WAREHOUSE_DSN"),
        ],
    )
    def test_what_a_program_prints_becomes_what_to_do(
        self, running: EmbeddedServer, printed: str, what: str, then: str
    ) -> None:
        output = f"{printed}\npg_ctl: could not start server\n"
        error = program_failed("Starting", output, home=running.directory, log=home_of(running).log)
        assert what in error.what
        assert then in error.next
        assert "pg_ctl" not in error.what

    @pytest.mark.parametrize(
        ("number", "then"),
        [(errno.ENOSPC, "Make room"), (errno.EACCES, "Run as the user"), (errno.ENOTDIR, "Check WAREHOUSE_DIR")],
    )
    def test_what_the_system_refuses_becomes_what_to_do(self, directory: Path, number: int, then: str) -> None:
        with pytest.raises(EmbeddedServerError, match=os.strerror(number)) as refused, said_for_people(directory):
            raise OSError(number, os.strerror(number), str(directory / "data"))
        assert then in refused.value.next
        assert str(directory / "data") in refused.value.what
