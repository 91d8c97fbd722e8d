"""Where the warehouse is, and how a job opens it.

It is apart from `workplace`, which also opens the source, so that a job that only reads the warehouse starts without an
HTTP client. With WAREHOUSE_DSN nothing of the embedded server is imported.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from worker.load.ledger import check_instance
from worker.load.postgres.database import open_warehouse
from worker.load.postgres.inspect import refuse_unfit
from worker.load.postgres.migrations import migrate
from worker.load.run_lock import run_lock
from worker.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from worker.load.postgres.database import Dsn, Warehouse
    from worker.load.run_lock import RunLock
    from worker.settings import Settings


async def warehouse_dsn(settings: Settings, *, must_exist: bool = False) -> Dsn:
    """Return the DSN, after starting the embedded server if it is to be used. Raises EmbeddedServerError.

    With `must_exist`, no new server is created: in a mistyped directory it would be empty, and look like a mirror that
    lost everything.
    """
    if settings.dsn is not None:
        return settings.dsn.read
    settings.need_warehouse_place()
    from worker.load.embedded import EmbeddedServer

    server = EmbeddedServer(settings.warehouse_dir)
    return await asyncio.to_thread(server.start_again if must_exist else server.start)


@asynccontextmanager
async def open_locked(settings: Settings, job: str) -> AsyncIterator[tuple[Warehouse, RunLock]]:
    """Open the warehouse, take the run lock, and then bring the schema up to date, so that no other run is at work.

    Raises WrongInstance if the schema belongs to another source. A job that needs no source may have none configured.
    """
    async with open_warehouse(await warehouse_dsn(settings), settings.schema, settings.patience) as warehouse:
        await warehouse.work(refuse_unfit)
        async with run_lock(warehouse, job) as lock:
            applied = await migrate(warehouse)
            if applied:
                get_logger().info("schema brought up to date", schema=settings.schema, migrations=len(applied))
            if settings.instance is not None:
                await warehouse.work(check_instance, warehouse, settings.instance)
            yield warehouse, lock
