"""`message-mirror check`: looks at settings, source, roster, patients, warehouse, schema, and risky server settings."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from worker.advice import advise
from worker.errors import EXIT_INCOMPLETE, EXIT_OK, EXIT_USAGE, EXIT_WAREHOUSE, MirrorError, PageFailed
from worker.extract.client import Source
from worker.extract.roster import PATIENTS
from worker.jobs.run import plan, rosters
from worker.jobs.run.walk import RESOURCE
from worker.jobs.run.warehouse import warehouse_dsn
from worker.jobs.run.workplace import open_source
from worker.jobs.verify.differences import FORBIDDEN
from worker.load.ledger import check_instance
from worker.load.postgres.database import open_warehouse, read_dsn
from worker.load.postgres.inspect import inspect_hints, inspect_server, may_migrate, may_write, weak_transport
from worker.load.postgres.migrations import read_outstanding
from worker.settings import FIRST_PATIENCE, unknown_variables

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    from worker.load.postgres.database import Warehouse
    from worker.records import Page, Search
    from worker.settings import Settings

SEARCHES_MAX = 10
"""How many searches are tried to find one with a second page."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report: whether it is right (None: a job would run, but look at it), what it is, what to do.

    `exit_code` is the code that a job would exit with.
    """

    ok: bool | None
    what: str
    next: str = ""
    exit_code: int = EXIT_OK


async def check(settings: Settings, parse_schedule: Callable[[str, str], object]) -> AsyncIterator[Check]:
    """Yield the checks one by one. A check that depends on a failed one is left out.

    `parse_schedule` takes a variable and its cron expression, and raises SettingsError for one that `serve` refuses.
    """
    for variable in unknown_variables(os.environ):
        yield Check(None, f"{variable} is set, but no setting of that name exists.", "Check its spelling.")
    try:
        if settings.nightly is not None:
            parse_schedule("MIRROR_NIGHTLY", settings.nightly)
    except MirrorError as error:
        yield _failed(error)
    async for line in _source(settings):
        yield line
    async for line in _warehouse(settings):
        yield line


async def _source(settings: Settings) -> AsyncIterator[Check]:
    try:
        instance = settings.need_instance()
        yield Check(True, f"the source's settings are valid; the instance is {instance}")
        async with open_source(settings, partial(Source.open, first_patience=FIRST_PATIENCE)) as source:
            yield Check(True, "the source answers, and lets this client search for messages")
            lists = await rosters.read_practitioners(source)
            yield judge_roster(lists)
            if practitioners := [one for listed in lists for one in listed.ids]:
                yield await _search(source, practitioners)
            yield await _patients(source)
    except MirrorError as error:
        yield _failed(error)


async def _search(source: Source, practitioners: Iterable[str]) -> Check:
    """Tell whether a search for messages says how many there are, and whether its `next` link works.

    Each page has one message, so that a few messages are enough for a `next` link, which is followed once. A `total`
    may be on any page: if the first two have none, the others are read. Raises what `Source.first_page` raises of the
    source as a whole.
    """
    for search in plan.searches_for(practitioners, (), ())[:SEARCHES_MAX]:
        pages: list[Page] = []
        try:
            async for page in source.walk(RESOURCE, [(search.parameter, search.value)], count=1):
                pages.append(page)
                if len(pages) == 2:
                    break
            counts = any(page.total is not None for page in pages) or await _counts_later(source, search)
        except PageFailed as failed:
            what = "the `next` link of a search for messages" if pages else "a search for messages"
            step = (source.mismatch(pages[-1]) if pages else "") or _advice(failed.reason)
            return Check(False, f"{what} fails ({failed.reason})", step, EXIT_INCOMPLETE)
        if not counts:
            what = "a search for messages does not say how many there are (no_total)"
            return Check(False, what, _advice("no_total"), EXIT_INCOMPLETE)
        if len(pages) > 1:
            break
    return Check(True, "a search for messages says how many there are, and its `next` links work")


async def _patients(source: Source) -> Check:
    """Read a first page of one patient. A sync does not need it, so a refusal is no error."""
    try:
        await source.first_page(PATIENTS.resource, PATIENTS.parameters, count=1)
    except PageFailed as failed:
        return Check(
            None,
            f"the patients cannot be listed ({failed.reason})",
            "verify and backfill need the scope to read Patient."
            if failed.reason == FORBIDDEN
            else f"verify and backfill need them: {_advice(failed.reason)}",
        )
    return Check(True, "the source lists patients, which verify and backfill need")


async def _counts_later(source: Source, search: Search) -> bool:
    """Tell whether any page of a search, read as a sync reads it, has a `total`. Raises PageFailed."""
    async for page in source.walk(RESOURCE, [(search.parameter, search.value)]):
        if page.total is not None:
            return True
    return False


def _advice(*reasons: str) -> str:
    return " ".join(advise(reasons, "the same command"))


def judge_roster(lists: Sequence[rosters.People]) -> Check:
    """Return the check on the lists of active and inactive practitioners. Pure."""
    reasons = sorted({one.walked.reason for one in lists if one.walked.reason})
    if reasons:
        forbidden = FORBIDDEN in reasons
        return Check(
            False,
            f"the roster cannot be read completely ({', '.join(reasons)})",
            "Give this client the scope to read Practitioner."
            if forbidden
            else f"No sync would be complete: {_advice(*reasons)}",
            EXIT_USAGE if forbidden else EXIT_INCOMPLETE,
        )
    active, inactive = (len(one.ids) for one in lists)
    if not active + inactive:
        return Check(
            False,
            "the roster lists no practitioner, so no message would be found",
            "Is it the right instance? Does the client have the scope for all practitioners? If the clinic has"
            " none yet: message-mirror sync --accept-roster.",
            EXIT_INCOMPLETE,
        )
    return Check(True, f"the roster lists {active} active and {inactive} inactive practitioners")


async def _warehouse(settings: Settings) -> AsyncIterator[Check]:
    try:
        dsn = await warehouse_dsn(settings)
        async with open_warehouse(dsn, settings.schema, settings.patience, pool_size=1) as warehouse:
            for finding in (
                *await warehouse.work(inspect_server),
                *await warehouse.work(inspect_hints, warehouse),
                *weak_transport(read_dsn(dsn)),
            ):
                exit_code = EXIT_WAREHOUSE if finding.ok is False else EXIT_OK
                yield Check(finding.ok, finding.what, finding.next, exit_code)
            yield await _schema(settings, warehouse)
    except MirrorError as error:
        yield _failed(error)


async def _schema(settings: Settings, warehouse: Warehouse) -> Check:
    schema, outstanding = settings.schema, await read_outstanding(warehouse)
    if outstanding and not await warehouse.work(may_migrate, warehouse):
        return Check(
            False,
            f"schema {schema}: {len(outstanding)} files to apply, and this role does not have the rights",
            f"As the database's owner: CREATE SCHEMA {schema} AUTHORIZATION …, CREATE SCHEMA {schema}_ops"
            " AUTHORIZATION … for this role (see deploy/postgresql/1-roles.sql); or ALTER SCHEMA … OWNER TO it.",
            EXIT_WAREHOUSE,
        )
    if outstanding:
        return Check(
            None,
            f"schema {schema}: {len(outstanding)} files to apply",
            "`message-mirror migrate`, or any sync.",
        )
    if not await warehouse.work(may_write, warehouse):
        return Check(
            False,
            f"schema {schema}: this role may read it, but not write to it",
            "Name the writer's role in WAREHOUSE_DSN, or make this one the owner of both schemas"
            " (see deploy/postgresql/1-roles.sql).",
            EXIT_WAREHOUSE,
        )
    if settings.instance is not None:
        await warehouse.work(check_instance, warehouse, settings.instance)
    return Check(True, f"schema {schema} is up to date")


def _failed(error: MirrorError) -> Check:
    return Check(False, error.what, error.next, error.exit_code)
