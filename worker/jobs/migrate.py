"""Brings the schema up to date, outside any run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.jobs.run.warehouse import warehouse_dsn
from worker.load.postgres.database import open_warehouse
from worker.load.postgres.inspect import refuse_unfit
from worker.load.postgres.migrations import migrate, read_outstanding, read_script
from worker.load.run_lock import run_lock

if TYPE_CHECKING:
    from worker.settings import Settings


async def upgrade(settings: Settings) -> tuple[str, ...]:
    """Apply what is outstanding and return the names of the files applied. Raises any MirrorError."""
    async with open_warehouse(await warehouse_dsn(settings), settings.schema, settings.patience) as warehouse:
        await warehouse.work(refuse_unfit)
        if not await read_outstanding(warehouse):
            return ()
        async with run_lock(warehouse, "migrate"):
            return await migrate(warehouse)


async def outstanding_sql(settings: Settings) -> str:
    """Return the SQL that `upgrade` would run, as one script; nothing is changed. Raises any MirrorError."""
    async with open_warehouse(await warehouse_dsn(settings), settings.schema, settings.patience) as warehouse:
        return await read_script(warehouse)
