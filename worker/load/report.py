"""Reads for `status` and the demo. No patient's words, names or references among them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from worker.errors import MigrationError
from worker.load.lock import lock_key
from worker.load.migrate import read_outstanding_in
from worker.load.rederive import count_older

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from worker.load.database import Connection, Warehouse


async def read_status(connection: Connection, warehouse: Warehouse, *, runs: int, rules_version: str) -> dict[str, Any]:
    """Return the last `runs` runs and what the schema holds. Raises MigrationError if it is not up to date."""
    if await read_outstanding_in(connection, warehouse.schema):
        raise MigrationError(
            f"Schema {warehouse.schema} is not there, or not up to date.",
            next="`message-mirror migrate`, or any sync, brings it up to date.",
        )
    sql = warehouse.sql
    schemas = [warehouse.schema, f"{warehouse.schema}_ops"]
    return {
        "schema": warehouse.schema,
        "freshness": dict(await connection.fetchrow(sql("status/freshness")) or {}),
        "lock": await _holder(connection, warehouse),
        "runs": _rows(await connection.fetch(sql("status/last_runs"), runs)),
        "not_accepted": _rows(await connection.fetch(sql("status/not_accepted"))),
        "quarantine": _rows(await connection.fetch(sql("status/quarantine_reasons"))),
        "rows_by_older_rules": await count_older(connection, warehouse, rules_version, None),
        "sizes": _rows(await connection.fetch(sql("status/sizes"), schemas)),
    }


async def by_direction(connection: Connection, warehouse: Warehouse) -> list[dict[str, Any]]:
    """Return messages, people and first and last day by direction."""
    return _rows(await connection.fetch(warehouse.sql("status/by_direction")))


async def count_in_vain(connection: Connection, warehouse: Warehouse, run_id: int, values: Sequence[str]) -> int:
    """Return how many of these values of searches found nothing in a run, though all their searches were accepted."""
    return int(await connection.fetchval(warehouse.sql("status/in_vain"), run_id, list(values)) or 0)


async def _holder(connection: Connection, warehouse: Warehouse) -> dict[str, Any] | None:
    """Return who holds the run lock and since when, None if nobody does."""
    holder = await connection.fetchrow(warehouse.sql("ledger/lock_holder"), lock_key(warehouse.schema, "run"))
    return {"holder": holder["application_name"], "since": holder["backend_start"]} if holder else None


def _rows(records: list[asyncpg.Record]) -> list[dict[str, Any]]:
    return [dict(record) for record in records]
