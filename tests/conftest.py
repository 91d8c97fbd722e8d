"""One embedded PostgreSQL for a whole test run, shared by its xdist workers, and a fresh database for each test."""

from __future__ import annotations

import asyncio
import os
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
KEEPER = pytest.StashKey["subprocess.Popen[bytes]"]()

# Nothing that a test writes has to outlive the machine; autovacuum would change the statistics that tests look at.
QUICK = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off"}

# Waits for the test run to end, be it by `kill -9`, and removes every server of it: its stdin ends with the run.
CLEAN_UP = """
import shutil, sys
from contextlib import ExitStack
from pathlib import Path
from worker.load.embedded import EmbeddedServer

sys.stdin.read()
run = Path(sys.argv[1])
with ExitStack() as last_to_first:
    last_to_first.callback(shutil.rmtree, run)
    for lock in run.rglob("start.lock"):
        last_to_first.callback(EmbeddedServer(lock.parent, elsewhere=run / "elsewhere").remove)
"""


def pytest_configure(config: pytest.Config) -> None:
    """Make the run's directory, in the controller; its workers inherit the variable."""
    if hasattr(config, "workerinput"):
        return
    # Not pytest's own: that one is closed to the account that root's server runs as.
    run = tempfile.mkdtemp(prefix="message-mirror-tests-")
    Path(run).chmod(0o711)
    os.environ[RUN_DIRECTORY] = run
    config.stash[KEEPER] = subprocess.Popen(
        [sys.executable, "-c", CLEAN_UP, run],
        stdin=subprocess.PIPE,
        cwd=config.rootpath,
        start_new_session=True,
    )


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop and remove whatever the run started."""
    keeper = config.stash.get(KEEPER, None)
    if keeper is not None:
        keeper.communicate()
        del os.environ[RUN_DIRECTORY]


@pytest.fixture(scope="session")
def run_directory() -> Path:
    """Give a directory that every account may pass through; servers in it are removed when the run ends."""
    return Path(os.environ[RUN_DIRECTORY])


@pytest.fixture(scope="session")
def warehouse_url(run_directory: Path) -> str:
    """Give the DSN of the run's server. Its database `canvas` is everybody's: tests use `database_dsn`."""
    return EmbeddedServer(run_directory / "shared", extra_settings=QUICK).start()


@pytest.fixture
def database_dsn(warehouse_url: str) -> Iterator[str]:
    """Give the DSN of a new, empty database, dropped after the test."""
    name = f"test_{uuid4().hex}"
    _execute(warehouse_url, f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy")
    yield urlsplit(warehouse_url)._replace(path=f"/{name}").geturl()
    _execute(warehouse_url, f"DROP DATABASE {name} WITH (FORCE)")


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
