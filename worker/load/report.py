"""Queries for `status` and the demo. They return no patient's words, names or references."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from worker.errors import MigrationError
from worker.load.postgres.lock import lock_key, told_holder
from worker.load.postgres.migrations import read_outstanding_in
from worker.load.rederive import count_older

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    import asyncpg

    from worker.load.postgres.database import Connection, Warehouse


@dataclass(frozen=True, slots=True)
class LastSync:
    """How long ago the newest full sync began or was resumed, by hand or not, complete or not. None if there was none.

    An abandoned sync does not count, because the next sync resumes it. `abandoned` is whether there is one.
    """

    age: timedelta | None
    abandoned: bool


async def read_status(connection: Connection, warehouse: Warehouse, *, runs: int, rules_version: str) -> dict[str, Any]:
    """Return the last `runs` runs and what the schema holds. Raises MigrationError if it is not up to date."""
    await refuse_outdated(connection, warehouse)
    sql = warehouse.sql
    schemas = [warehouse.schema, f"{warehouse.schema}_ops"]
    holder = await _read_holder(connection, warehouse)
    return {
        "schema": warehouse.schema,
        "freshness": dict(await connection.fetchrow(sql("status/freshness")) or {}),
        "lock": {"holder": holder["application_name"], "since": holder["backend_start"]} if holder else None,
        "runs": _rows(await connection.fetch(sql("status/last_runs"), runs, None)),
        "under_way": await _under_way(connection, warehouse) if holder else None,
        "not_accepted": _rows(await connection.fetch(sql("status/not_accepted"))),
        "quarantine": _rows(await connection.fetch(sql("status/quarantine_reasons"))),
        "held_deletions": await connection.fetchval(sql("status/count_held")),
        "rows_by_older_rules": await count_older(connection, warehouse, rules_version, None),
        "sizes": _rows(await connection.fetch(sql("status/sizes"), schemas)),
    }


async def read_run(connection: Connection, warehouse: Warehouse, run_id: int) -> dict[str, Any]:
    """Return a run as `status --json` shows it: counts, aware datetimes in UTC, seconds."""
    return dict(await connection.fetchrow(warehouse.sql("status/last_runs"), 1, run_id) or {})


async def _under_way(connection: Connection, warehouse: Warehouse) -> dict[str, Any] | None:
    """Return the run that holds the lock, with figures of the last one of its kind; None if there is none yet."""
    run_id = await connection.fetchval(warehouse.sql("status/held_last"))
    if run_id is None:
        return None
    last = await connection.fetchrow(warehouse.sql("status/last_of_its_kind"), run_id)
    return {
        **await read_run(connection, warehouse, run_id),
        "expected_entries": last["entries"] if last else None,
        "expected_seconds": last["seconds"] if last else None,
    }


async def read_last_sync(connection: Connection, warehouse: Warehouse) -> LastSync:
    """Return how long ago a full sync last began, by the warehouse's clock. There may be no schema yet."""
    if await connection.fetchval("SELECT to_regclass($1)", f"{warehouse.schema}_ops.run") is None:
        return LastSync(None, abandoned=False)
    row = await connection.fetchrow(warehouse.sql("status/last_begun"), lock_key(warehouse.schema, "run"))
    return LastSync(row["age"], abandoned=row["is_abandoned"])


async def refuse_outdated(connection: Connection, warehouse: Warehouse) -> None:
    """Raise MigrationError if the schema is not up to date. Changes nothing."""
    behind = await read_outstanding_in(connection, warehouse.schema)
    if behind:
        raise await _not_up_to_date(connection, warehouse, len(behind))


async def by_direction(connection: Connection, warehouse: Warehouse) -> list[dict[str, Any]]:
    """Return messages, people and first and last day by direction."""
    return _rows(await connection.fetch(warehouse.sql("status/by_direction")))


async def count_in_vain(connection: Connection, warehouse: Warehouse, run_id: int, values: Sequence[str]) -> int:
    """Return how many of these values found nothing in a run although all their searches were accepted."""
    return int(await connection.fetchval(warehouse.sql("status/in_vain"), run_id, list(values)) or 0)


async def _not_up_to_date(connection: Connection, warehouse: Warehouse, behind: int) -> MigrationError:
    """Return the error: how far the schema is behind, and which run holds the lock, for which migrate would wait."""
    schema = warehouse.schema
    there = await connection.fetchval("SELECT to_regnamespace($1) IS NOT NULL", schema)
    holder = await _read_holder(connection, warehouse)
    what = f"is {behind} file{'s' if behind > 1 else ''} of sql/ behind this version" if there else "is not there"
    return MigrationError(
        f"Schema {schema} {what}, in {warehouse.place}."
        + (f" A run holds the lock: {told_holder(holder)}." if holder else ""),
        safe="Nothing was changed.",
        next=("Wait for that run to end, then " if holder else "")
        + "`message-mirror migrate`, or any sync, brings it up to date.",
    )


async def _read_holder(connection: Connection, warehouse: Warehouse) -> asyncpg.Record | None:
    return await connection.fetchrow(warehouse.sql("session/lock_holder"), lock_key(warehouse.schema, "run"))


def _rows(records: list[asyncpg.Record]) -> list[dict[str, Any]]:
    return [dict(record) for record in records]
