"""Messages that a run should have been shown and was not: found, and marked as deleted if gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.load.quarantine import resolve_gone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.load.database import Connection, Warehouse


async def find_missing(connection: Connection, warehouse: Warehouse, run_id: int) -> list[str]:
    """Return live ids whose own search was accepted in this run and did not show them, nor did any other.

    After a first load the tables are analysed before.
    """
    if await connection.fetchval(warehouse.sql("missing/has_outgrown"), run_id):
        await connection.execute(warehouse.sql("missing/analyze"))
    return [row["id"] for row in await connection.fetch(warehouse.sql("missing/find"), run_id)]


async def count_live(connection: Connection, warehouse: Warehouse) -> int:
    """Return how many messages are live in the mirror."""
    count: int = await connection.fetchval(warehouse.sql("missing/count_live"))
    return count


async def find_hiding(connection: Connection, warehouse: Warehouse, run_id: int) -> list[int]:
    """Return the accepted searches of this run that should have shown a message which only its id has shown."""
    return [row["id"] for row in await connection.fetch(warehouse.sql("missing/find_hiding"), run_id)]


async def find_gone(connection: Connection, warehouse: Warehouse, run_id: int, ids: Sequence[str]) -> list[str]:
    """Return those of these live ids that the source did not know in this run."""
    return [row["id"] for row in await connection.fetch(warehouse.sql("missing/find_gone"), run_id, ids)]


async def pick_shown(connection: Connection, warehouse: Warehouse, run_id: int) -> list[str]:
    """Return ids of a few messages that this run was shown by searches for a person, of different ones if it can."""
    return [row["id"] for row in await connection.fetch(warehouse.sql("missing/pick_shown"), run_id)]


async def tombstone(connection: Connection, warehouse: Warehouse, run_id: int, gone: Sequence[str]) -> int:
    """Mark what this run found gone as deleted, keeping the live versions in history. Return how many.

    What lies open of it in quarantine is closed.
    """
    await connection.execute(warehouse.sql("missing/keep_history"), run_id, gone)
    tag = await connection.execute(warehouse.sql("missing/tombstone"), run_id, gone)
    await resolve_gone(connection, warehouse, run_id)
    return int(tag.rpartition(" ")[2])
