"""A backup and its restore, by the very commands of the runbook, with the roles that it has made."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import asyncpg
import pytest

from tests.integration.mirroring import environment, ids_of, run_command
from worker.errors import EXIT_OK
from worker.load.embedded.binaries import find_binaries
from worker.load.postgres.database import open_warehouse
from worker.load.postgres.migrations import read_outstanding
from worker.sandbox.population import make_clinic
from worker.sandbox.sandbox_server import SandboxServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DEPLOY = Path(__file__).parents[2] / "deploy"
RUNBOOK = (DEPLOY / "runbook" / "backup.md").read_text(encoding="utf-8")
BACKUP, RESTORE = (
    re.findall(rf"^## {word}$.*?^```sh\n(.*?)^```$", RUNBOOK, re.DOTALL | re.MULTILINE)[0]
    for word in ("Backup", "Restore")
)


@dataclass
class Place:
    """Two databases with the roles of 1-roles.sql, made by an administrator: the URLs, and who is who."""

    warehouse: str
    another: str
    administrator: str
    writer: str
    reader: str

    def typed(self, commands: str, dsn: str, directory: Path) -> None:
        """Run commands of the runbook as the administrator, in the database at `dsn` instead of `warehouse`."""
        there = urlsplit(dsn)
        host, port = (parse_qs(there.query)[name][-1] for name in ("host", "port"))
        commands = re.sub(r"\bwarehouse\b", there.path.strip("/"), commands).replace("canvas_writer", self.writer)
        binaries = find_binaries(18)
        assert binaries is not None
        path = f"{binaries.prefix / 'bin'}:{os.environ['PATH']}"
        subprocess.run(
            ["sh", "-euc", commands],
            env={"PGHOST": host, "PGPORT": port, "PGUSER": self.administrator, "PATH": path},
            cwd=directory,
            check=True,
        )


@pytest.fixture(params=["a superuser", "no superuser"])
async def place(
    request: pytest.FixtureRequest, database: asyncpg.Connection, database_dsn: str
) -> AsyncIterator[Place]:
    """Give two databases of an administrator. On a managed server that is no superuser, and owns the databases."""
    names = [f"{kind}_{uuid4().hex}" for kind in ("one", "another", "administrator", "writer", "reader")]
    one, another, administrator, writer, reader = names
    rights = "SUPERUSER" if request.param == "a superuser" else "NOSUPERUSER CREATEROLE"
    await database.execute(f"CREATE ROLE {administrator} LOGIN {rights}")
    script = (DEPLOY / "postgresql" / "1-roles.sql").read_text(encoding="utf-8")
    script = script.replace("canvas_writer", writer).replace("canvas_text_reader", reader)
    dsns = [urlsplit(database_dsn)._replace(path=f"/{name}").geturl() for name in (one, another)]
    for name, dsn in zip((one, another), dsns, strict=True):
        await database.execute(f"CREATE DATABASE {name} OWNER {administrator} TEMPLATE template0")
        connection = await asyncpg.connect(dsn, user=administrator)
        await connection.execute(script.replace(':"DBNAME"', name))
        await connection.close()
    yield Place(dsns[0], dsns[1], administrator, writer, reader)
    for name in (one, another):
        await database.execute(f"DROP DATABASE {name} WITH (FORCE)")
    for role in (reader, writer, administrator):
        await database.execute(f"DROP OWNED BY {role} CASCADE")
        await database.execute(f"DROP ROLE {role}")


@pytest.mark.parametrize("into", ["a new database", "the old one"])
async def test_what_was_backed_up_can_be_restored(into: str, place: Place, tmp_path: Path) -> None:
    """By the administrator; then the writer goes on, and readers read, as if nothing had happened."""
    async with SandboxServer(make_clinic(messages=20, practitioners=2, patients=3)) as server:
        as_writer = [
            urlsplit(dsn)._replace(netloc=f"{place.writer}@").geturl() for dsn in (place.warehouse, place.another)
        ]
        assert (await run_command(environment(server.url, as_writer[0]), "sync")).code == EXIT_OK
        place.typed(BACKUP, place.warehouse, tmp_path)
        restored = place.another if into == "a new database" else place.warehouse
        place.typed(RESTORE, restored, tmp_path)
        dsn = as_writer[into == "a new database"]
        async with open_warehouse(dsn, "canvas", timedelta(seconds=10)) as warehouse:
            assert await read_outstanding(warehouse) == ()
            assert not await warehouse.work(may_create_schemas)
        again = await run_command(environment(server.url, dsn), "sync")
    assert again.code == EXIT_OK, again.err
    assert ": 0 new, 0 changed" in again.out
    connection = await asyncpg.connect(restored)
    try:
        members = await connection.fetchval(
            "SELECT pg_has_role($1, $2, 'USAGE') AND NOT rolsuper FROM pg_roles WHERE rolname = $1",
            place.administrator,
            place.writer,
        )
        assert not members
        await connection.execute(f"SET ROLE {place.reader}")
        assert await ids_of(connection) == {one["id"] for one in server.clinic}
    finally:
        await connection.close()


async def test_a_restore_that_fails_leaves_everything_as_it_was(place: Place, tmp_path: Path) -> None:
    """An analyst's view stands in the way of replacing a table."""
    async with SandboxServer(make_clinic(messages=20, practitioners=2, patients=3)) as server:
        dsn = urlsplit(place.warehouse)._replace(netloc=f"{place.writer}@").geturl()
        assert (await run_command(environment(server.url, dsn), "sync")).code == EXIT_OK
    place.typed(BACKUP, place.warehouse, tmp_path)
    connection = await asyncpg.connect(place.warehouse)
    try:
        await connection.execute("CREATE VIEW public.mine AS SELECT id FROM canvas.message")
        with pytest.raises(subprocess.CalledProcessError):
            place.typed(RESTORE, place.warehouse, tmp_path)
        assert await connection.fetchval("SELECT count(*) FROM public.mine") == 20
        assert await connection.fetchval("SELECT count(*) FROM canvas_ops.communication") == 20
    finally:
        await connection.close()


async def may_create_schemas(connection: asyncpg.Connection) -> bool:
    return bool(await connection.fetchval("SELECT has_database_privilege(current_database(), 'CREATE')"))
