"""What a job is that can be cut, and the one that writes no messages: `migrate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from worker.jobs import migrate
from worker.load.postgres.migrations import known_files

if TYPE_CHECKING:
    from collections.abc import Mapping

    import asyncpg

    from worker.settings import Settings


class Job(Protocol):
    """A job to cut, in full at every `step`-th message.

    `source_url` is what it reads from; `variables` are settings that it is run with. `recovers`: whether one run that
    reaches its end has done everything, whatever was cut.
    """

    name: str
    source_url: str
    variables: Mapping[str, str]
    step: int
    recovers: bool

    async def prepare(self, dsn: str) -> None:
        """Bring an empty database to the state in which the job begins."""

    async def begin(self, database: asyncpg.Connection) -> None:
        """Note that state, before any cut."""

    async def run(self, settings: Settings) -> object:
        """Run it. Raises any MirrorError."""

    async def meanwhile(self, database: asyncpg.Connection) -> None:
        """Do what another process does at the cut, if any."""

    async def halves(self, database: asyncpg.Connection) -> list[str]:
        """Say what a reader sees half-done now."""

    async def amiss(self, database: asyncpg.Connection, results: list[object], ran: int) -> list[str]:
        """Say what is not as it must be in the end. `results` are of those runs that ended well, of `ran` in all."""


class MigrateJob:
    """The schema appears whole or not at all."""

    name = "migrate"
    step = 1
    recovers = True
    variables: Mapping[str, str] = {}

    def __init__(self, source_url: str) -> None:
        self.source_url = source_url

    async def prepare(self, dsn: str) -> None:
        """Nothing: the database stays empty."""

    async def begin(self, database: asyncpg.Connection) -> None:
        """Nothing to note."""

    async def run(self, settings: Settings) -> object:
        return await migrate.upgrade(settings)

    async def meanwhile(self, database: asyncpg.Connection) -> None:
        """Nothing: no other process takes part."""

    async def halves(self, database: asyncpg.Connection) -> list[str]:
        applied = await self._applied(database)
        return [] if applied in (None, {file.name for file in known_files()}) else ["the schema is half there"]

    async def amiss(self, database: asyncpg.Connection, results: list[object], ran: int) -> list[str]:
        applied = await self._applied(database)
        found = [] if applied == {file.name for file in known_files()} else ["the schema is not up to date"]
        told = [tuple(file.name for file in known_files()), ()]
        if len(results) == ran and results != told[:ran]:
            found.append("the run that applied the files did not say so")
        return found + await locks_held(database)

    @staticmethod
    async def _applied(database: asyncpg.Connection) -> set[str] | None:
        if await database.fetchval("SELECT to_regclass('canvas_ops.migration')") is None:
            there = await database.fetchval("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'canvas%'")
            return set() if there else None
        return {row["name"] for row in await database.fetch("SELECT name FROM canvas_ops.migration")}


async def locks_held(database: asyncpg.Connection) -> list[str]:
    """Say so if any advisory lock is held in this database."""
    held = await database.fetchval(
        "SELECT count(*) FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database"
        " WHERE l.locktype = 'advisory' AND d.datname = current_database()"
    )
    return [f"{held} advisory locks are still held"] if held else []
