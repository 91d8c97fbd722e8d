"""Brings the schemas up to date from the plain files `sql/schema.sql`, `sql/migrations/*.sql` and `sql/views/*.sql`.

An empty database gets the schema as it is today. An existing schema gets the migrations that it has not had yet, in the
order of their names, each once; their checksums are kept. Views are replaced whenever their file changes. Each call is
one transaction under an advisory lock, so that two workers that start at the same time do not race.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from hashlib import sha256
from string import Template
from typing import TYPE_CHECKING

from worker.errors import MigrationError
from worker.load.postgres.lock import lock_key
from worker.load.postgres.statements import SQL_DIRECTORY, render, statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.load.postgres.database import Connection, Warehouse

# While a migration waits for a view, everybody who reads the view waits behind it.
_TIMEOUT = "SET LOCAL lock_timeout = '10s';\n"
_LOCK_POLL_S = 0.2
_LOCK_PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class SqlFile:
    """A file below `sql/`: its name without `.sql`, its text as written, its SHA-256 in hex."""

    name: str
    text: str
    checksum: str

    @property
    def is_schema(self) -> bool:
        """Whether it is what an empty database gets, all migrations of this version included."""
        return self.name == "schema"

    @property
    def is_migration(self) -> bool:
        """Whether it is applied once, to an existing schema."""
        return self.name.startswith("migrations/")


def known_files() -> tuple[SqlFile, ...]:
    """Return the schema, the migrations and then the views of this version, in the order they are applied."""
    return tuple(
        SqlFile(path.relative_to(SQL_DIRECTORY).with_suffix("").as_posix(), text, sha256(text.encode()).hexdigest())
        for pattern in ("schema.sql", "migrations/*.sql", "views/*.sql")
        for path in sorted(SQL_DIRECTORY.glob(pattern))
        for text in [path.read_text(encoding="utf-8")]
    )


def outstanding(known: tuple[SqlFile, ...], applied: dict[str, str]) -> tuple[SqlFile, ...]:
    """Return the files that are to be applied. `applied` maps names to checksums. Pure.

    Raises MigrationError if an applied migration was edited, if the schema has migrations that this version does not
    know, or if it was made before the first release.
    """
    if not applied:
        return tuple(file for file in known if not file.is_migration)
    if "schema" not in applied:
        raise MigrationError(
            "This warehouse was made by a version before the first release, and cannot be brought up to date.",
            safe="Nothing was changed.",
            next="Create an empty database, name it in WAREHOUSE_DSN, then `message-mirror sync`. The embedded server's"
            " data is removed by `message-mirror warehouse remove`.",
        )
    newer = sorted(name for name in applied.keys() - {file.name for file in known} if not name.startswith("views/"))
    if newer:
        raise MigrationError(
            f"The warehouse schema is newer than this worker: it has {', '.join(newer)}.",
            safe="Nothing was changed.",
            next="Install the version of canvas-message-mirror that last wrote there, or a newer one.",
        )
    for file in known:
        if file.is_migration and applied.get(file.name, file.checksum) != file.checksum:
            raise MigrationError(
                f"The file sql/{file.name}.sql was edited after it had been applied.",
                safe="Nothing was changed.",
                next="Restore the file and put the change into a new migration.",
            )
    return tuple(file for file in known if not file.is_schema and applied.get(file.name) != file.checksum)


async def read_outstanding(warehouse: Warehouse) -> tuple[SqlFile, ...]:
    """Return what `migrate` would apply, without changing anything. Raises MigrationError as `outstanding`."""
    return await warehouse.work(read_outstanding_in, warehouse.schema)


async def read_outstanding_in(connection: Connection, schema: str) -> tuple[SqlFile, ...]:
    """As `read_outstanding`, within the caller's transaction."""
    return outstanding(known_files(), await _applied(connection, schema))


async def migrate(warehouse: Warehouse) -> tuple[str, ...]:
    """Apply what is outstanding and return the names of the files applied, in order.

    Raises MigrationError, WarehouseRefused (rights) or WarehouseAway. A failed migration is rolled back whole.
    """
    if not await read_outstanding(warehouse):
        return ()
    begun: set[str] = set()
    await warehouse.work(_apply_all, warehouse.schema, begun)
    return tuple(file.name for file in known_files() if file.name in begun)


async def read_script(warehouse: Warehouse) -> str:
    """Return the SQL that `migrate` would run, as one transaction to run by hand; empty if nothing is outstanding."""
    return await warehouse.work(_read_script, warehouse.schema)


def steps(files: tuple[SqlFile, ...], missing_schemas: Sequence[str], schema: str) -> list[str]:
    """Return the SQL that applies `files` and remembers them, in order, for this analysts' schema. Pure."""
    # Not CREATE SCHEMA IF NOT EXISTS: that needs CREATE on the database even where the schema is there.
    schemas = [f"CREATE SCHEMA {name};\n" for name in missing_schemas]
    remember = Template(statement("migrate/remember", schema))
    applied = [
        f"-- sql/{file.name}.sql\n{render(file.text, schema)}\n"
        + "".join(f"{remember.substitute(name=one.name, checksum=one.checksum)};\n" for one in _contained(file))
        for file in files
    ]
    return [_TIMEOUT, *schemas, *applied]


def _contained(file: SqlFile) -> tuple[SqlFile, ...]:
    """Return the files that count as applied after this one: the schema contains all migrations."""
    return tuple(one for one in known_files() if one == file or (file.is_schema and one.is_migration))


async def _read_script(connection: Connection, schema: str) -> str:
    files = await read_outstanding_in(connection, schema)
    if not files:
        return ""
    return "\n".join(["BEGIN;", *steps(files, await _missing_schemas(connection, schema), schema), "COMMIT;\n"])


async def _apply_all(connection: Connection, schema: str, begun: set[str]) -> None:
    """Apply what is outstanding, and add its names to `begun`, because a repeated call finds nothing outstanding."""
    await _lock(connection, schema)
    files = await read_outstanding_in(connection, schema)
    if files:
        begun.update(file.name for file in files)
        for step in steps(files, await _missing_schemas(connection, schema), schema):
            await connection.execute(step)


async def _missing_schemas(connection: Connection, schema: str) -> list[str]:
    there = {row["nspname"] for row in await connection.fetch("SELECT nspname FROM pg_namespace")}
    return [name for name in (schema, f"{schema}_ops") if name not in there]


async def _lock(connection: Connection, schema: str) -> None:
    # Polled: a pg_advisory_lock that blocks would deadlock with CREATE INDEX CONCURRENTLY.
    deadline = asyncio.get_running_loop().time() + _LOCK_PATIENCE_S
    while not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", lock_key(schema, "migrate")):
        if asyncio.get_running_loop().time() > deadline:
            raise MigrationError(
                f"Another process has been migrating this schema for over {_LOCK_PATIENCE_S:.0f} s.",
                safe="Nothing was changed.",
                next="Look at pg_stat_activity for it, then run the same command again.",
            )
        await asyncio.sleep(_LOCK_POLL_S)


async def _applied(connection: Connection, schema: str) -> dict[str, str]:
    if await connection.fetchval("SELECT to_regclass($1)", f"{schema}_ops.migration") is None:
        return {}
    rows = await connection.fetch(render("SELECT name, checksum FROM canvas_ops.migration", schema))
    return {row["name"]: row["checksum"] for row in rows}
