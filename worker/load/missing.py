"""Finds messages that a run should have been shown and was not, and marks those that are gone as deleted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.load.quarantine import resolve_gone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.load.postgres.database import Connection, Warehouse


@dataclass(frozen=True, slots=True)
class Gone:
    """A live message that the source no longer knows, and how many messages of the same people it still shows."""

    id: str
    patient_id: str | None
    practitioner_id: str | None
    patient_left: int
    practitioner_left: int


async def find_missing(connection: Connection, warehouse: Warehouse, run_id: int) -> list[str]:
    """Return live ids that no search showed, although their own search was accepted in this run.

    After a first load the tables are analyzed first.
    """
    if await connection.fetchval(warehouse.sql("missing/has_outgrown"), run_id):
        await connection.execute(warehouse.sql("missing/sample_less"))
        await connection.execute(warehouse.sql("missing/analyze"))
    return [row["id"] for row in await connection.fetch(warehouse.sql("missing/find"), run_id)]


async def count_live(connection: Connection, warehouse: Warehouse) -> int:
    """Return how many messages are live in the mirror."""
    count: int = await connection.fetchval(warehouse.sql("missing/count_live"))
    return count


async def find_hiding(connection: Connection, warehouse: Warehouse, run_id: int) -> list[int]:
    """Return the accepted searches of this run that hid a message which the source showed by id."""
    return [row["id"] for row in await connection.fetch(warehouse.sql("missing/find_hiding"), run_id)]


async def find_gone(connection: Connection, warehouse: Warehouse, run_id: int, ids: Sequence[str]) -> list[str]:
    """Return which of these live ids the source did not know in this run."""
    return [row["id"] for row in await connection.fetch(warehouse.sql("missing/find_gone"), run_id, ids)]


async def pick_shown(connection: Connection, warehouse: Warehouse, run_id: int) -> list[str]:
    """Return ids of a few messages that searches for people showed in this run, if possible of different people."""
    return [row["id"] for row in await connection.fetch(warehouse.sql("missing/pick_shown"), run_id)]


async def read_gone(connection: Connection, warehouse: Warehouse, ids: Sequence[str]) -> list[Gone]:
    """Return the people of these live messages, all of which are gone."""
    return [Gone(**dict(row)) for row in await connection.fetch(warehouse.sql("missing/read_gone"), ids)]


async def pick_patients(connection: Connection, warehouse: Warehouse, run_id: int, others: Sequence[str]) -> list[str]:
    """Return a few patients whose messages this run was shown, and who are not in `others`."""
    rows = await connection.fetch(warehouse.sql("missing/pick_patients"), run_id, others)
    return [row["patient_id"] for row in rows]


async def hold(connection: Connection, warehouse: Warehouse, run_id: int, held: Sequence[str]) -> None:
    """Store what this run holds, and remove what was held before. In the caller's transaction."""
    await connection.execute(warehouse.sql("missing/release"))
    await connection.execute(warehouse.sql("missing/hold"), run_id, held)


async def tombstone(connection: Connection, warehouse: Warehouse, run_id: int, gone: Sequence[str]) -> int:
    """Mark the messages that this run found gone as deleted, and keep the live versions in history. Return how many.

    Their open entries in quarantine are closed.
    """
    await connection.execute(warehouse.sql("missing/keep_history"), run_id, gone)
    tag = await connection.execute(warehouse.sql("missing/tombstone"), run_id, gone)
    await resolve_gone(connection, warehouse, run_id)
    return int(tag.rpartition(" ")[2])
