"""One embedded PostgreSQL for a whole test run, shared by its xdist workers, and a fresh database for each test."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest

from worker.load.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN_DIRECTORY = "MESSAGE_MIRROR_TEST_RUN"
SERVER_DIRECTORY = "MESSAGE_MIRROR_TEST_SERVER"
KEEPER = pytest.StashKey["subprocess.Popen[bytes]"]()

# Making and dropping a database takes a tenth of the system's time in memory. A container's may be too small.
MEMORY = Path("/dev/shm")  # noqa: S108 - the directory in it has a name that nobody else has
MEMORY_FREE_BYTES = 2 << 30

# Nothing that a test writes has to outlive the machine; autovacuum would change the statistics that tests look at.
QUICK = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off"}

# Waits for the test run to end, be it by `kill -9`, and removes every server of it: its stdin ends with the run.
CLEAN_UP = """
import shutil, sys
from contextlib import ExitStack
from pathlib import Path
from worker.load.embedded import EmbeddedServer

sys.stdin.read()
run, server = map(Path, sys.argv[1:])
with ExitStack() as last_to_first:
    for made in (run, server):
        last_to_first.callback(shutil.rmtree, made)
        for lock in made.rglob("start.lock"):
            last_to_first.callback(EmbeddedServer(lock.parent, elsewhere=run / "elsewhere").remove)
"""


def pytest_configure(config: pytest.Config) -> None:
    """Make the run's directories, in the controller; its workers inherit the variables."""
    if hasattr(config, "workerinput"):
        return
    for variable, place in ((RUN_DIRECTORY, None), (SERVER_DIRECTORY, MEMORY if _is_roomy(MEMORY) else None)):
        # Not pytest's own: that one is closed to the account that root's server runs as.
        made = tempfile.mkdtemp(prefix="message-mirror-tests-", dir=place)
        Path(made).chmod(0o711)
        os.environ[variable] = made
    config.stash[KEEPER] = subprocess.Popen(
        [sys.executable, "-c", CLEAN_UP, os.environ[RUN_DIRECTORY], os.environ[SERVER_DIRECTORY]],
        stdin=subprocess.PIPE,
        cwd=config.rootpath,
        start_new_session=True,
    )


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop and remove whatever the run started."""
    keeper = config.stash.get(KEEPER, None)
    if keeper is not None:
        keeper.communicate()
        del os.environ[RUN_DIRECTORY], os.environ[SERVER_DIRECTORY]


def pytest_collection_finish() -> None:
    """Spare each test from going through thousands of collected ones for garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def run_directory() -> Path:
    """Give a directory that every account may pass through; servers in it are removed when the run ends."""
    return Path(os.environ[RUN_DIRECTORY])


@pytest.fixture(scope="session")
def warehouse_url() -> str:
    """Give the DSN of the run's server. Its database `canvas` is everybody's: tests use `database_dsn`."""
    return EmbeddedServer(Path(os.environ[SERVER_DIRECTORY]) / "shared", extra_settings=QUICK).start()


@pytest.fixture
def database_dsn(warehouse_url: str) -> Iterator[str]:
    """Give the DSN of a new, empty database, dropped after the test."""
    name = f"test_{uuid4().hex}"
    _execute(warehouse_url, f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy")
    yield urlsplit(warehouse_url)._replace(path=f"/{name}").geturl()
    _execute(warehouse_url, f"DROP DATABASE {name} WITH (FORCE)")


def _is_roomy(directory: Path) -> bool:
    """Tell whether a server can be put there: it has room, and programs may run."""
    if not os.access(directory, os.W_OK):
        return False
    can_run = not os.statvfs(directory).f_flag & os.ST_NOEXEC
    return can_run and shutil.disk_usage(directory).free >= MEMORY_FREE_BYTES


def _execute(dsn: str, statement: str) -> None:
    """Run one statement, on an event loop of its own: the test's may not be running yet, or no more."""

    async def execute() -> None:
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, execute()).result()
