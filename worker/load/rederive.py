"""Reads stored resources, and rewrites what was derived from them, in place."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

from worker.load.land import Landed, land_messages, rewrite_parts, stage, total
from worker.load.set_aside import find_partial, write_in_parts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from worker.load.postgres.database import Connection, Warehouse
    from worker.records import Message

Rewrite: TypeAlias = "Callable[[Connection, Warehouse, Sequence[Message]], Awaitable[None]]"
"""How versions are rewritten: `rewrite_current` or `rewrite_past`."""


@dataclass(frozen=True, slots=True)
class Version:
    """A stored version of a resource, its JSON byte for byte."""

    id: str
    content_hash: bytes
    resource: bytes


@dataclass(frozen=True, slots=True)
class Quarantined:
    """An open entry in quarantine, byte for byte."""

    raw_hash: bytes
    entry: bytes
    last_seen_at: datetime


async def count_older(connection: Connection, warehouse: Warehouse, rules: str, since: datetime | None) -> int:
    """Return how many versions, present and past, are to be rewritten."""
    count: int = await connection.fetchval(warehouse.sql("replay/count_older"), rules, since)
    return count


async def read_current(
    connection: Connection, warehouse: Warehouse, rules: str, since: datetime | None, after: Version | None, limit: int
) -> list[Version]:
    """Return the next present versions that other rules derived, or that a verification found altered."""
    rows = await connection.fetch(warehouse.sql("replay/read_current"), rules, since, after.id if after else "", limit)
    return [Version(row["id"], row["_content_hash"], row["resource"]) for row in rows]


async def read_past(
    connection: Connection, warehouse: Warehouse, rules: str, since: datetime | None, after: Version | None, limit: int
) -> list[Version]:
    """Return the next past versions that other rules derived."""
    last = (after.id, after.content_hash) if after else ("", b"")
    rows = await connection.fetch(warehouse.sql("replay/read_past"), rules, since, *last, limit)
    return [Version(row["id"], row["_content_hash"], row["resource"]) for row in rows]


async def read_quarantine(
    connection: Connection, warehouse: Warehouse, since: datetime | None, after: Quarantined | None, limit: int
) -> list[Quarantined]:
    """Return the next open entries, in the order in which the source last served them."""
    last = (after.last_seen_at, after.raw_hash) if after else (datetime.fromisoformat("0001-01-01T00:00:00Z"), b"")
    rows = await connection.fetch(warehouse.sql("quarantine/read_open"), since, *last, limit)
    return [Quarantined(row["raw_hash"], row["entry"], row["_last_seen_at"]) for row in rows]


async def rewrite(connection: Connection, warehouse: Warehouse, messages: Sequence[Message], write: Rewrite) -> int:
    """Rewrite versions, except those that the server refuses, which stay as they are. Return how many it refuses."""

    async def write_part(part: Sequence[Message]) -> None:
        await write(connection, warehouse, part)

    return len(await write_in_parts(connection, warehouse, messages, write_part))


async def rewrite_current(connection: Connection, warehouse: Warehouse, messages: Sequence[Message]) -> None:
    """Rewrite the derived columns of present versions, and their recipients and payloads. None counts as altered then.

    A message whose row holds another version by then is left alone, including its parts. In the caller's transaction,
    which keeps the rewritten rows locked.
    """
    await stage(connection, warehouse, messages)
    rewritten = {row["id"] for row in await connection.fetch(warehouse.sql("land/update"), None)}
    await connection.execute(warehouse.sql("replay/settle_altered"))
    await rewrite_parts(connection, warehouse, [message for message in messages if message.id in rewritten])


async def rewrite_past(connection: Connection, warehouse: Warehouse, messages: Sequence[Message]) -> None:
    """Rewrite the derived columns of past versions."""
    await stage(connection, warehouse, messages)
    await connection.execute(warehouse.sql("replay/update_past"))


async def release(connection: Connection, warehouse: Warehouse, messages: Sequence[Message], *, run_id: int) -> Landed:
    """Land what had been in quarantine, each message by the hash of its entry, and close those entries.

    Of several versions of one id, the one that was served last is landed last, so that it is the present one. A closed
    entry is left alone, because landing an earlier version again would bring it back. A message that has a row, and
    whose entry had no id when it was served, is left alone, too, because nothing told then whether the row is newer. If
    it is not, the next sync is served this version again. What the server refuses stays in quarantine, and so does a
    partial version if the row is whole. Return what was landed.
    """
    hashes = [message.raw_hash for message in messages]
    rows = await connection.fetch(
        warehouse.sql("quarantine/lock_open"), hashes, [message.id for message in messages], run_id
    )
    to_land = {row["raw_hash"] for row in rows if not row["is_doubtful"]}
    landed: list[Landed] = []

    async def write(part: Sequence[Message]) -> None:
        landed.extend([await land_messages(connection, warehouse, [message], run_id=run_id) for message in part])

    partial = await find_partial(connection, warehouse, messages)
    is_partial = {message.raw_hash for message in partial}
    wanted = [message for message in messages if message.raw_hash in to_land and message.raw_hash not in is_partial]
    refused = [*partial, *await write_in_parts(connection, warehouse, wanted, write)]
    kept = {message.raw_hash for message in refused}
    await connection.execute(
        warehouse.sql("quarantine/resolve_entries"), [raw_hash for raw_hash in hashes if raw_hash not in kept]
    )
    return replace(total(landed), refused=len(refused))
