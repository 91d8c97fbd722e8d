"""Brings the schema up to date on its own, outside any run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.jobs.warehouse import warehouse_dsn
from worker.load.database import open_warehouse
from worker.load.inspect import refuse_unfit
from worker.load.lock import run_lock
from worker.load.migrate import migrate, read_outstanding, read_script

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
