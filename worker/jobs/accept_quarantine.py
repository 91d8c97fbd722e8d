"""Accepts entries in quarantine: the operator knows them, and they no longer make a run incomplete."""

from __future__ import annotations

import getpass
import os
import socket
from typing import TYPE_CHECKING

from worker.jobs.run.warehouse import warehouse_dsn
from worker.load import quarantine
from worker.load.postgres.database import open_warehouse
from worker.load.report import refuse_outdated

if TYPE_CHECKING:
    from worker.records import Reason
    from worker.settings import Settings


async def accept(settings: Settings, reason: Reason) -> int:
    """Accept the open entries in quarantine for a reason: they are kept and counted, but are no longer a flood.

    Who accepted, and when, is noted with each entry. Return how many entries nobody had accepted before. Raises any
    MirrorError; MigrationError if the schema is not up to date.
    """
    async with open_warehouse(await warehouse_dsn(settings), settings.schema, settings.patience) as warehouse:
        await warehouse.work(refuse_outdated, warehouse)
        return await warehouse.work(quarantine.accept, warehouse, reason.value, _operator())


def _operator() -> str:
    """Return who accepts: the user and the host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"
