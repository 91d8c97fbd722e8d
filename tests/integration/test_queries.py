"""Every statement of the worker is one that the server takes: its tables, columns, functions and types are there."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import asyncpg
import pytest

from worker.load.postgres.database import open_warehouse
from worker.load.postgres.migrations import migrate
from worker.load.postgres.statements import SQL_DIRECTORY, statement, statements

if TYPE_CHECKING:
    from worker.load.postgres.database import Connection

NAMES = [
    f"{path.stem}/{name}" for path in sorted((SQL_DIRECTORY / "queries").glob("*.sql")) for name, _ in statements(path)
]


async def prepare_all(connection: Connection, schema: str) -> None:
    await connection.execute(statement("land/stage", schema))
    for name in NAMES:
        await connection.prepare(statement(name, schema))


@pytest.mark.parametrize("schema", ["canvas", "canvas_north"])
async def test_the_server_takes_every_statement(schema: str, database_dsn: str) -> None:
    """Also those that no other test happens to run, and in a schema of another name."""
    async with open_warehouse(database_dsn, schema, timedelta(seconds=30), pool_size=1) as warehouse:
        await migrate(warehouse)
        await warehouse.work(prepare_all, schema)


async def test_a_column_that_is_gone_is_found_out(database_dsn: str, database: asyncpg.Connection) -> None:
    """Sabotage: a statement names a column that the schema no longer has."""
    async with open_warehouse(database_dsn, "canvas", timedelta(seconds=30), pool_size=1) as warehouse:
        await migrate(warehouse)
    await database.execute("ALTER TABLE canvas_ops.held RENAME COLUMN id TO message_id")
    with pytest.raises(asyncpg.UndefinedColumnError):
        await prepare_all(database, "canvas")
