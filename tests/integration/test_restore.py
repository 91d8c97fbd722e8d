"""A backup and its restore, by the very commands of the runbook, with the roles that it has made."""

from __future__ import annotations

import re
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import asyncpg
import pytest

from tests.integration.mirroring import environment, ids_of, run_command
from worker.errors import EXIT_OK
from worker.load.database import open_warehouse
from worker.load.embedded.binaries import find_binaries
from worker.load.migrate import read_outstanding
from worker.sandbox.population import make_clinic
from worker.sandbox.server import SandboxServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DEPLOY = Path(__file__).parents[2] / "deploy"
RUNBOOK = (DEPLOY / "README.md").read_text(encoding="utf-8")
(BACKUP,) = re.findall(r"`pg_dump ([^`]*)`", RUNBOOK)
(RESTORE,) = re.findall(r"`pg_restore ([^`]*)`", RUNBOOK)


@pytest.fixture
async def roles(database: asyncpg.Connection) -> AsyncIterator[tuple[str, str, str]]:
    """Give 1-roles.sql for roles of this test's own, and the names of the writer and the reader."""
    writer, reader = f"writer_{uuid4().hex}", f"reader_{uuid4().hex}"
    text = (DEPLOY / "postgresql" / "1-roles.sql").read_text(encoding="utf-8")
    yield text.replace("canvas_writer", writer).replace("canvas_text_reader", reader), writer, reader
    for role in (reader, writer):
        await database.execute(f"DROP OWNED BY {role} CASCADE")
        await database.execute(f"DROP ROLE {role}")


@pytest.fixture
async def another(database: asyncpg.Connection, database_dsn: str, roles: tuple[str, str, str]) -> AsyncIterator[str]:
    """Give the URL of another database, with the roles in it."""
    name = f"test_{uuid4().hex}"
    await database.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    dsn = urlsplit(database_dsn)._replace(path=f"/{name}").geturl()
    connection = await asyncpg.connect(dsn)
    await connection.execute(roles[0].replace(':"DBNAME"', name))
    await connection.close()
    yield dsn
    await database.execute(f"DROP DATABASE {name} WITH (FORCE)")


def typed(program: str, arguments: str, dsn: str, directory: Path) -> None:
    """Run a program as the runbook says, in another database than `warehouse`."""
    there = urlsplit(dsn)
    host, port = (parse_qs(there.query)[name][-1] for name in ("host", "port"))
    replaced = re.sub(r"\bwarehouse\b", there.path.strip("/"), arguments).split()
    binaries = find_binaries(18)
    assert binaries is not None
    subprocess.run(
        [binaries.program(program), *replaced],
        env={"PGHOST": host, "PGPORT": port, "PGUSER": "mirror"},
        cwd=directory,
        check=True,
    )


@pytest.mark.parametrize("into", ["a new database", "the old one"])
async def test_what_was_backed_up_can_be_restored(
    into: str,
    database_dsn: str,
    database: asyncpg.Connection,
    roles: tuple[str, str, str],
    another: str,
    tmp_path: Path,
) -> None:
    """By the administrator; then the writer goes on, and readers read, as if nothing had happened."""
    script, writer, reader = roles
    await database.execute(script.replace(':"DBNAME"', urlsplit(database_dsn).path.strip("/")))
    async with SandboxServer(make_clinic(messages=20, practitioners=2, patients=3)) as server:
        assert (await run_command(environment(server.url, f"{database_dsn}&role={writer}"), "sync")).code == EXIT_OK
        typed("pg_dump", BACKUP, database_dsn, tmp_path)
        restored = another if into == "a new database" else database_dsn
        typed("pg_restore", RESTORE, restored, tmp_path)
        as_writer = f"{restored}&role={writer}"
        async with open_warehouse(as_writer, "canvas", timedelta(seconds=10)) as warehouse:
            assert await read_outstanding(warehouse) == ()
        again = await run_command(environment(server.url, as_writer), "sync")
    assert again.code == EXIT_OK, again.err
    assert ": 0 new, 0 changed" in again.out
    connection = await asyncpg.connect(restored)
    try:
        await connection.execute(f"SET ROLE {reader}")
        assert await ids_of(connection) == {one["id"] for one in server.clinic}
    finally:
        await connection.close()
