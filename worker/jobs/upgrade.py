"""Brings the schema up to date on its own, outside any run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.jobs.workplace import warehouse_dsn
from worker.load.database import open_warehouse
from worker.load.inspect import refuse_unfit
from worker.load.migrate import migrate, read_script

if TYPE_CHECKING:
    from worker.settings import Settings


async def upgrade(settings: Settings) -> tuple[str, ...]:
    """Apply what is outstanding and return the names of the files applied."""
    async with open_warehouse(await warehouse_dsn(settings), settings.schema, settings.patience) as warehouse:
        await warehouse.work(refuse_unfit)
        return await migrate(warehouse)


async def outstanding_sql(settings: Settings) -> str:
    """Return the SQL that `upgrade` would run, as one script; nothing is changed."""
    async with open_warehouse(await warehouse_dsn(settings), settings.schema, settings.patience) as warehouse:
        return await read_script(warehouse)
