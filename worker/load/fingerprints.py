"""What each search saw last time, so that an unchanged entry is recognized by the hash of its bytes alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.load.postgres.database import Connection, Warehouse
    from worker.records import Search


class Seen(NamedTuple):
    """A usable entry as it was served: the message's id and the hash of its content."""

    id: str
    content_hash: bytes


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What the last accepted walk of a search saw: all entries by raw hash, those that may be skipped, its total."""

    stored: Mapping[bytes, Seen]
    usable: Mapping[bytes, Seen]
    total: int | None


async def read_fingerprint(connection: Connection, warehouse: Warehouse, search: Search) -> Fingerprint:
    """Return the fingerprint of a search. Entries are usable if their rows are live and still hold the same content."""
    rows = await connection.fetch(warehouse.sql("fingerprint/read"), search.parameter, search.value)
    stored = {row["raw_hash"]: Seen(row["id"], row["content_hash"]) for row in rows}
    usable = {row["raw_hash"]: stored[row["raw_hash"]] for row in rows if row["usable"]}
    return Fingerprint(stored, usable, rows[0]["total"] if rows else None)


async def write_fingerprint(
    connection: Connection, warehouse: Warehouse, search: Search, seen: Mapping[bytes, Seen], *, total: int, run_id: int
) -> None:
    """Replace the fingerprint of a search with what its accepted walk saw. In the caller's transaction."""
    await connection.execute(
        warehouse.sql("fingerprint/write"),
        search.parameter,
        search.value,
        [entry.id for entry in seen.values()],
        list(seen),
        [entry.content_hash for entry in seen.values()],
        total,
        run_id,
    )


async def read_sizes(connection: Connection, warehouse: Warehouse) -> dict[tuple[str, str], int]:
    """Return (parameter, value) → how many messages the search had last time."""
    rows = await connection.fetch(warehouse.sql("fingerprint/read_sizes"))
    return {(row["parameter"], row["value"]): row["size"] for row in rows}
