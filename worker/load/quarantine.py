"""Stores what extract rejected, whole; closes what was overtaken or is served no longer. Decides nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.load.postgres.database import Connection, Warehouse
    from worker.records import Message, Rejected, Search


async def store_rejected(
    connection: Connection, warehouse: Warehouse, rejected: Sequence[Rejected], search: Search, *, run_id: int
) -> int:
    """Keep the entries and return how many were not there before (or are open again). In the caller's transaction.

    Keyed by the hash of the entry's bytes: repeating a run adds nothing.
    """
    if not rejected:
        return 0
    distinct = {entry.raw_hash: entry for entry in rejected}
    rows = await connection.fetch(
        warehouse.sql("quarantine/store"),
        list(distinct),
        [entry.id for entry in distinct.values()],
        [entry.reason.value for entry in distinct.values()],
        [entry.entry for entry in distinct.values()],
        search.parameter,
        search.value,
        run_id,
    )
    if len(rows) < len(distinct):
        await connection.execute(warehouse.sql("quarantine/note_served"), list(distinct), run_id)
    return len(rows)


async def resolve(connection: Connection, warehouse: Warehouse, messages: Sequence[Message]) -> None:
    """Close what lies open of these messages: a usable version was served. In the caller's transaction.

    Also the very entries, by their bytes: an older worker may not have been able to read so much as their id.
    """
    if messages:
        await connection.execute(
            warehouse.sql("quarantine/resolve"),
            [message.id for message in messages],
            [message.raw_hash for message in messages],
        )


async def resolve_gone(connection: Connection, warehouse: Warehouse, run_id: int) -> None:
    """Close what lies open of messages that this run found gone: a replay is not to bring them back."""
    await connection.execute(warehouse.sql("quarantine/resolve_gone"), run_id)


async def resolve_unserved(connection: Connection, warehouse: Warehouse, run_id: int) -> None:
    """Close what lies open and was not served to this run any more, by the accepted search that had served it."""
    await connection.execute(warehouse.sql("quarantine/resolve_unserved"), run_id)


async def accept(connection: Connection, warehouse: Warehouse, reason: str, operator: str) -> int:
    """Note that `operator` takes what lies open for `reason` as it is: kept and counted, and no longer a flood.

    Return how many entries that are which nobody had accepted before.
    """
    tag: str = await connection.execute(warehouse.sql("quarantine/accept"), reason, operator)
    return int(tag.rpartition(" ")[2])
