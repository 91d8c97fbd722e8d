"""What each search saw last time, so that an unchanged entry is recognised by the hash of its bytes alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.load.database import Connection, Warehouse
    from worker.records import Search


@dataclass(frozen=True, slots=True)
class Seen:
    """A usable entry as it was served: the message's id and the hash of its content."""

    id: str
    content_hash: bytes


async def read_mark(connection: Connection, warehouse: Warehouse, search: Search) -> dict[bytes, Seen]:
    """Return raw hash → what it stood for, only of entries whose rows still hold just that and are alive."""
    rows = await connection.fetch(warehouse.sql("mark/read"), search.parameter, search.value)
    return {row["raw_hash"]: Seen(row["id"], row["content_hash"]) for row in rows}


async def write_mark(
    connection: Connection, warehouse: Warehouse, search: Search, seen: Mapping[bytes, Seen], *, run_id: int
) -> None:
    """Replace the mark of a search by what its accepted walk saw. In the caller's transaction."""
    await connection.execute(
        warehouse.sql("mark/write"),
        search.parameter,
        search.value,
        [entry.id for entry in seen.values()],
        list(seen),
        [entry.content_hash for entry in seen.values()],
        run_id,
    )


async def read_sizes(connection: Connection, warehouse: Warehouse) -> dict[tuple[str, str], int]:
    """Return (parameter, value) → how many messages the search had last time."""
    rows = await connection.fetch(warehouse.sql("mark/read_sizes"))
    return {(row["parameter"], row["value"]): row["size"] for row in rows}
