"""A small world to prove things in: a sandbox with a small clinic, a database of its own, and the jobs between them.

The jobs run in this process, on a clock that does not wait: retries, back-off and patience take no real time.
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg

from tests.integration.loopback import FakeClock
from tests.integration.mirroring import mirror_settings
from worker.extract.client import Source
from worker.extract.exchange import Bounds
from worker.jobs import backfill, replay, sync
from worker.jobs.run.plan import Selection
from worker.jobs.verify import job
from worker.sandbox.sandbox_server import SandboxServer
from worker.settings import derive_auth_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from aiohttp.typedefs import Middleware

    from worker.jobs.replay import Replayed
    from worker.jobs.run.mirror import RunResult
    from worker.jobs.run.workplace import Connect
    from worker.jobs.verify.job import Verification
    from worker.sandbox.population import Clinic, Resource
    from worker.settings import Settings

# For what never ends. On a busy machine even a sound answer may come too late: it is asked for again then.
BOUNDS = Bounds(connect_s=2, read_s=0.3, total_s=0.6)
VACUUM_EVERY = 25
"""How often the tables are emptied before what was deleted is cleaned up: no autovacuum runs in tests."""


@dataclass(slots=True)
class World:
    """A clinic and who serves it, a database and who looks into it, and the settings of a mirror between them.

    `settings` and `bounds` may be replaced; the jobs take them as they are when they start.
    """

    clinic: Clinic
    server: SandboxServer
    settings: Settings
    dsn: str
    database: asyncpg.Connection
    clock: FakeClock = field(default_factory=FakeClock)
    bounds: Bounds = BOUNDS
    replaced: int = 0

    @property
    def connect(self) -> Connect:
        """How jobs reach the source: by this world's clock and within its bounds."""
        return partial(Source.open, clock=self.clock.clock(), bounds=self.bounds)

    async def sync(self, *, quick: bool = False, accept_deletions: bool = False) -> RunResult:
        """Run `sync`. Raises any MirrorError."""
        return await sync.sync(self.settings, quick=quick, accept_deletions=accept_deletions, connect=self.connect)

    async def backfill(self, selection: Selection | None = None, *, restart: bool = False) -> RunResult:
        """Run `backfill`, of everything unless told otherwise. Raises any MirrorError."""
        asked = selection or Selection(by_patient=True)
        return await backfill.backfill(self.settings, asked, restart=restart, connect=self.connect)

    async def verify(self, *, sync_first: bool = True) -> Verification:
        """Run `verify`. Raises any MirrorError."""
        return await job.verify(self.settings, sync_first=sync_first, connect=self.connect)

    async def replay(self) -> Replayed:
        """Run `replay`. Raises any MirrorError."""
        return await replay.replay(self.settings)

    async def differences(self, served: Iterable[Resource] | None = None) -> list[str]:
        """Compare the mirror with what the clinic serves (or with `served`), id by id; see `differences`."""
        return await differences(self.database, self.clinic if served is None else served)

    async def serve(self, clinic: Clinic, *, middlewares: Sequence[Middleware] = ()) -> None:
        """Serve another clinic from now on. The warehouse keeps what it has: loopback is one instance to it."""
        await self.server.stop()
        self.clinic, self.server = clinic, SandboxServer(clinic, middlewares=middlewares)
        await self.server.start()
        self.settings = replace(self.settings, fhir_url=self.server.url, auth_url=derive_auth_url(self.server.url))

    async def save(self) -> None:
        """Keep a copy of all tables in a schema of its own, for `restore`."""
        copies = [f'CREATE TABLE saved."{name}" AS TABLE {name}' for name in await _tables(self.database)]
        await self.database.execute(";".join(["DROP SCHEMA IF EXISTS saved CASCADE", "CREATE SCHEMA saved", *copies]))

    async def restore(self) -> None:
        """Put all tables back to what they were at `save`."""
        names = await _tables(self.database)
        await self._replace([f'INSERT INTO {name} OVERRIDING SYSTEM VALUE TABLE saved."{name}"' for name in names])

    async def empty(self) -> None:
        """Forget everything in the warehouse but its schema, which must be there."""
        await self._replace([])

    async def _replace(self, inserts: list[str]) -> None:
        # Not TRUNCATE: new files for every table and index take longer than all rows of a small world.
        deletes = [f"DELETE FROM {name}" for name in await _tables(self.database)]  # noqa: S608 - the catalogue's names
        numbers = [
            f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), coalesce(max(id), 0) + 1, false) FROM {name}"  # noqa: S608 - the names below
            for name in ("canvas_ops.run", "canvas_ops.search")
        ]
        async with self.database.transaction():
            # Without triggers, so that the order of the tables does not matter to their foreign keys.
            await self.database.execute("SET LOCAL session_replication_role = replica")
            await self.database.execute(";".join([*deletes, *inserts, *numbers]))
        self.replaced += 1
        if self.replaced % VACUUM_EVERY == 0:
            await self.database.execute("VACUUM")


async def _tables(database: asyncpg.Connection) -> list[str]:
    rows = await database.fetch(
        "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables"
        " WHERE schemaname IN ('canvas', 'canvas_ops') AND tablename <> 'migration' ORDER BY 1"
    )
    return [row["name"] for row in rows]


async def differences(database: asyncpg.Connection, served: Iterable[Resource]) -> list[str]:
    """Say where the mirror differs from what is served: nowhere, if it mirrors it.

    Every served entry must be a live row that refers to the very resource, or lie in quarantine word for word; no live
    row may hold what is not served. Each difference begins with the id and a colon. The mirror's own hashes are not
    relied upon: resources are compared as JSON.
    """
    rows = {
        row["id"]: row["resource"] and json.loads(row["resource"])
        for row in await database.fetch(
            "SELECT m.id, c.resource FROM canvas.message AS m LEFT JOIN canvas_ops.communication AS c"
            " ON c.id = m.id AND c._content_hash = m._content_hash WHERE m._deleted_at IS NULL"
        )
    }
    quarantined = {
        bytes(row["entry"])
        for row in await database.fetch("SELECT entry FROM canvas_ops.quarantine WHERE resolved_at IS NULL")
    }
    found: list[str] = []
    accounted: set[str] = set()
    for resource in served:
        message_id = resource.get("id")
        if isinstance(message_id, str):
            accounted.add(message_id)
        if isinstance(message_id, str) and rows.get(message_id) == resource:
            continue
        if entry_bytes(resource) in quarantined:
            continue
        found.append(f"{message_id}: {'another version' if message_id in rows else 'neither row nor in quarantine'}")
    found += [f"{message_id}: live, but not served" for message_id in rows.keys() - accounted]
    return found


def entry_bytes(resource: dict[str, Any]) -> bytes:
    """Return the bytes of a resource's Bundle entry as the sandbox writes them."""
    text = json.dumps({"resource": resource}, ensure_ascii=False, separators=(",", ":"))
    return text.encode(errors="backslashreplace")


@asynccontextmanager
async def open_world(
    server_url: str, clinic: Clinic, *, middlewares: Sequence[Middleware] = (), **variables: str
) -> AsyncIterator[World]:
    """Serve `clinic` and make a database for it on the PostgreSQL at `server_url`; both are gone in the end.

    `middlewares` stand before the sandbox; `variables` are settings of the mirror besides those it needs. One search is
    walked at a time, so that requests come in the same order each time.
    """
    async with fresh_database(server_url) as dsn:
        server = SandboxServer(clinic, middlewares=middlewares)
        await server.start()
        settings = mirror_settings(server.url, dsn, **{"MIRROR_CONCURRENCY": "1", **variables})
        database = await asyncpg.connect(dsn)
        world = World(clinic, server, settings, dsn, database)
        try:
            yield world
        finally:
            await database.close()
            await world.server.stop()


@asynccontextmanager
async def fresh_database(server_url: str) -> AsyncIterator[str]:
    """Make an empty database on a PostgreSQL server, yield its DSN, and drop it."""
    name = f"proof_{uuid4().hex}"
    keeper = await asyncpg.connect(server_url)
    try:
        await keeper.execute(f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy")
        yield urlsplit(server_url)._replace(path=f"/{name}").geturl()
        await keeper.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await keeper.close()
