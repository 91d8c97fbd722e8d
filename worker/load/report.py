"""Reads for `status` and the demo. No patient's words, names or references among them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from worker.errors import MigrationError
from worker.load.migrate import read_outstanding_in

if TYPE_CHECKING:
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
        "runs": _rows(await connection.fetch(sql("status/last_runs"), runs)),
        "quarantine": _rows(await connection.fetch(sql("status/quarantine_reasons"))),
        "rows_by_older_rules": await connection.fetchval(sql("status/older_rules"), rules_version),
        "sizes": _rows(await connection.fetch(sql("status/sizes"), schemas)),
    }


async def by_direction(connection: Connection, warehouse: Warehouse) -> list[dict[str, Any]]:
    """Return messages, people and first and last day by direction."""
    return _rows(await connection.fetch(warehouse.sql("status/by_direction")))


def _rows(records: list[asyncpg.Record]) -> list[dict[str, Any]]:
    return [dict(record) for record in records]
