"""Messages that a run should have been shown and was not: found, and marked as deleted if gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.load.quarantine import resolve_gone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.load.postgres.database import Connection, Warehouse


@dataclass(frozen=True, slots=True)
class Gone:
    """A live message that the source no longer knows, and how many live ones of its people it has still shown."""

    id: str
    patient_id: str | None
    practitioner_id: str | None
    patient_left: int
    practitioner_left: int


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


async def read_gone(connection: Connection, warehouse: Warehouse, ids: Sequence[str]) -> list[Gone]:
    """Return whose these live messages are, all of which are gone."""
    return [Gone(**dict(row)) for row in await connection.fetch(warehouse.sql("missing/read_gone"), ids)]


async def pick_patients(connection: Connection, warehouse: Warehouse, run_id: int, others: Sequence[str]) -> list[str]:
    """Return a few patients, none of `others`, of whom this run was shown messages."""
    rows = await connection.fetch(warehouse.sql("missing/pick_patients"), run_id, others)
    return [row["patient_id"] for row in rows]


async def hold(connection: Connection, warehouse: Warehouse, run_id: int, held: Sequence[str]) -> None:
    """Note what this run holds, in the place of what was held before. In the caller's transaction."""
    await connection.execute(warehouse.sql("missing/release"))
    await connection.execute(warehouse.sql("missing/hold"), run_id, held)


async def tombstone(connection: Connection, warehouse: Warehouse, run_id: int, gone: Sequence[str]) -> int:
    """Mark what this run found gone as deleted, keeping the live versions in history. Return how many.

    What lies open of it in quarantine is closed.
    """
    await connection.execute(warehouse.sql("missing/keep_history"), run_id, gone)
    tag = await connection.execute(warehouse.sql("missing/tombstone"), run_id, gone)
    await resolve_gone(connection, warehouse, run_id)
    return int(tag.rpartition(" ")[2])
