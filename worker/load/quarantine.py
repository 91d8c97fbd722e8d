"""Stores rejected entries whole, and closes entries that were overtaken or are no longer served. Decides nothing."""

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

    They are keyed by the hash of the entry's bytes, so repeating a run adds nothing.
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
    """Close the open entries of these messages, because a usable version was served. In the caller's transaction.

    Entries with the same bytes are closed, too, because an older worker may not have been able to read even their id.
    """
    if messages:
        await connection.execute(
            warehouse.sql("quarantine/resolve"),
            [message.id for message in messages],
            [message.raw_hash for message in messages],
        )


async def resolve_gone(connection: Connection, warehouse: Warehouse, run_id: int) -> None:
    """Close the open entries of messages that this run found gone, so that a replay does not bring them back."""
    await connection.execute(warehouse.sql("quarantine/resolve_gone"), run_id)


async def resolve_unserved(connection: Connection, warehouse: Warehouse, run_id: int) -> None:
    """Close open entries that were not served to this run any more by the same search, if it was accepted."""
    await connection.execute(warehouse.sql("quarantine/resolve_unserved"), run_id)


async def accept(connection: Connection, warehouse: Warehouse, reason: str, operator: str) -> int:
    """Note that `operator` accepts the open entries for `reason`: kept and counted, but no longer a flood.

    Return how many of them nobody had accepted before.
    """
    tag: str = await connection.execute(warehouse.sql("quarantine/accept"), reason, operator)
    return int(tag.rpartition(" ")[2])
