"""What `message-mirror check` looks at: settings, source, roster, warehouse, schema, risky server settings."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.errors import MirrorError
from worker.jobs import people
from worker.jobs.workplace import open_source, warehouse_dsn
from worker.load.database import open_warehouse
from worker.load.inspect import Finding, inspect_server, weak_transport
from worker.load.ledger import check_instance
from worker.load.migrate import read_outstanding
from worker.settings import unknown_variables

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from worker.extract.client import Source
    from worker.load.database import Warehouse
    from worker.settings import Settings


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report: whether it is well (None: well enough, but look at it), what it is, what to do."""

    ok: bool | None
    what: str
    next: str = ""


async def check(settings: Settings) -> AsyncIterator[Check]:
    """Yield the checks one by one; what depends on something that failed is left out."""
    for variable in unknown_variables(os.environ):
        yield Check(None, f"{variable} is set, but no setting of that name exists.", "Look for a typing error.")
    async for line in _source(settings):
        yield line
    async for line in _warehouse(settings):
        yield line


async def _source(settings: Settings) -> AsyncIterator[Check]:
    try:
        instance = settings.need_instance()
        yield Check(True, f"settings are sound; the instance is {instance}")
        async with open_source(settings) as source:
            yield Check(True, "the source answers, and lets us search for messages")
            yield await _roster(source)
    except MirrorError as error:
        yield _failed(error)


async def _roster(source: Source) -> Check:
    lists = await people.read_practitioners(source)
    reasons = sorted({one.walked.reason for one in lists if one.walked.reason is not None})
    if reasons:
        return Check(
            False, f"the roster cannot be read whole ({', '.join(reasons)})", "Give this client Practitioner.read."
        )
    active, inactive = (len(one.ids) for one in lists)
    return Check(True, f"the roster lists {active} active and {inactive} inactive practitioners")


async def _warehouse(settings: Settings) -> AsyncIterator[Check]:
    try:
        dsn = await warehouse_dsn(settings)
        async with open_warehouse(dsn, settings.schema, settings.patience, pool_size=1) as warehouse:
            for finding in (*await warehouse.work(inspect_server), *weak_transport(dsn)):
                yield _finding(finding)
            yield await _schema(settings, warehouse)
    except MirrorError as error:
        yield _failed(error)


async def _schema(settings: Settings, warehouse: Warehouse) -> Check:
    outstanding = await read_outstanding(warehouse)
    if outstanding:
        return Check(
            None,
            f"schema {settings.schema}: {len(outstanding)} files to apply",
            "`message-mirror migrate`, or any sync.",
        )
    if settings.instance is not None:
        await warehouse.work(check_instance, warehouse, settings.instance)
    return Check(True, f"schema {settings.schema} is up to date")


def _finding(finding: Finding) -> Check:
    return Check(finding.ok, finding.what, finding.next)


def _failed(error: MirrorError) -> Check:
    return Check(False, error.what, error.next)
