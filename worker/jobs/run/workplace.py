"""Opens what a job needs and closes it in the end: warehouse, schema, lock, source."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias
from uuid import UUID

from worker.errors import AccessRefused, PageFailed, SettingsError, SourceAway
from worker.extract.client import Source
from worker.jobs.run.warehouse import open_locked, warehouse_dsn
from worker.load.land import read_practitioners
from worker.load.ledger import bind_instance, check_instance, refuse_closed
from worker.load.postgres.database import open_warehouse
from worker.load.postgres.migrations import read_outstanding
from worker.reader.parent import Reader, open_reader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from worker.load.postgres.database import Warehouse
    from worker.load.run_lock import RunLock
    from worker.settings import Settings

_NO_RUN = "No run was begun."
_NOT_THERE = frozenset({"not-found", "deleted"})
Connect: TypeAlias = "Callable[[Settings], AbstractAsyncContextManager[Source]]"


@dataclass(frozen=True, slots=True)
class Workplace:
    """What a run needs: a migrated warehouse bound to the source's instance, run lock, source and reader."""

    settings: Settings
    warehouse: Warehouse
    source: Source
    lock: RunLock
    reader: Reader

    async def hold(self, run_id: int) -> None:
        """Make sure that we hold the run lock. Raises RunLocked if another process has it, or closed the run."""
        was_lost = await self.lock.ensure()
        if was_lost:
            await self.warehouse.work(refuse_closed, self.warehouse, run_id)


async def _probe(source: Source) -> None:
    """Ask for a message that cannot exist, to find wrong credentials or a wrong URL before a run begins."""
    try:
        try:
            await source.first_page("Communication", [("_id", str(UUID(int=0)))], count=1)
        except PageFailed as failed:
            if not failed.codes & _NOT_THERE:
                raise
            # The source says that there is no such message, or no such path. The list of practitioners tells which.
            await source.first_page("Practitioner", [], count=1)
    except PageFailed as failed:
        raise _not_let_in(failed) from None


def _not_let_in(failed: PageFailed) -> AccessRefused | SettingsError | SourceAway:
    """Return the error for a missing scope (403), a URL of another FHIR API, or a source in trouble. Pure."""
    what = f"The source answers, but not with a searchset of Communications ({failed.reason})."
    if failed.reason == "http_403":
        scopes = "Give this client the scope to read Communication, Practitioner and Patient."
        return AccessRefused(what, safe=_NO_RUN, next=scopes)
    if failed.codes or failed.reason.startswith("http_4"):
        return SettingsError(
            what, safe=_NO_RUN, next="Check that CANVAS_FHIR_URL is the base URL of the FHIR API, to the last letter."
        )
    return SourceAway(
        what,
        safe=_NO_RUN,
        next="Try again later. If it stays: check CANVAS_FHIR_URL, or ask whoever runs the source.",
    )


@asynccontextmanager
async def open_source(settings: Settings, connect: Connect = Source.open) -> AsyncIterator[Source]:
    """Open the source and make sure that it accepts our credentials. Raises AccessRefused, SettingsError or SourceAway.

    `connect` may be `Source.open` with another clock and other bounds.
    """
    async with connect(settings) as source:
        await _probe(source)
        yield source


@asynccontextmanager
async def open_workplace(settings: Settings, job: str, connect: Connect = Source.open) -> AsyncIterator[Workplace]:
    """Open everything for a run. Raises any MirrorError whose cause can be found before the run begins."""
    instance = settings.need_instance()
    async with (
        open_locked(settings, job) as (warehouse, lock),
        open_source(settings, connect) as source,
        open_reader() as reader,
    ):
        await warehouse.work(bind_instance, warehouse, instance)
        yield Workplace(settings, warehouse, source, lock, reader)


async def known_practitioners(settings: Settings) -> list[str]:
    """Return the practitioners that the warehouse knows, without changing it; none if its schema is not up to date.

    Raises WrongInstance if they belong to another source, because this one must not be asked for them.
    """
    instance = settings.need_instance()
    async with open_warehouse(await warehouse_dsn(settings), settings.schema, settings.patience) as warehouse:
        if await read_outstanding(warehouse):
            return []
        await warehouse.work(check_instance, warehouse, instance)
        return await warehouse.work(read_practitioners, warehouse)
