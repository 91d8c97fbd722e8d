"""What the sweep of a verification is shown, stored and compared in the warehouse, so that memory stays flat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.load.land import stage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from worker.load.postgres.database import Connection, Warehouse
    from worker.records import Message, Rejected


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference between a sweep and the mirror.

    `kind`: `missing` (not in the mirror), `extra` (not in the sweep), `stale` (another version), `altered` (same
    version, but a column of the row is not what it should be), `unaccounted` (an unusable entry that is not in
    quarantine). `mirror_hash`: the hash of its live row's content, None if there is none. `as_last_shown`: the mirror
    holds exactly what an accepted walk of this verification's own sync was shown. `held`: a sync found it gone, and
    held it.
    """

    key: str
    message_id: str | None
    kind: str
    mirror_hash: bytes | None
    practitioner_id: str | None
    sent_at: datetime | None
    as_last_shown: bool
    held: bool = False


@dataclass(frozen=True, slots=True)
class Sighted:
    """How much is stored of a pass: entries, counted once for each search that showed them, and distinct entries."""

    sightings: int
    entries: int


async def store_sightings(
    connection: Connection,
    warehouse: Warehouse,
    run_id: int,
    number: int,
    search: int,
    messages: Sequence[Message],
    rejected: Sequence[Rejected],
) -> None:
    """Store what a search showed in pass `number`, compared with the present rows."""
    if messages:
        await stage(connection, warehouse, list({message.id: message for message in messages}.values()))
        await connection.execute(warehouse.sql("verify/sight_usable"), run_id, number, search)
    if rejected:
        await connection.execute(
            warehouse.sql("verify/sight_rejected"),
            run_id,
            number,
            search,
            [entry.id or entry.raw_hash.hex() for entry in rejected],
            [entry.id for entry in rejected],
            [entry.raw_hash for entry in rejected],
        )


async def forget_sightings(connection: Connection, warehouse: Warehouse, run_id: int, number: int, search: int) -> None:
    """Delete what a walk of a search showed in pass `number`, because it was not accepted."""
    await connection.execute(warehouse.sql("verify/forget"), run_id, number, search)


async def clear_sightings(connection: Connection, warehouse: Warehouse, run_id: int, before: int) -> None:
    """Delete the sightings of other verifications, and those of passes before `before`."""
    await connection.execute(warehouse.sql("verify/clear"), run_id, before)


async def passes_agree(connection: Connection, warehouse: Warehouse, run_id: int, one: int, other: int) -> bool:
    """Tell whether two passes saw the same ids with the same content."""
    agree: bool = await connection.fetchval(warehouse.sql("verify/agree"), run_id, one, other)
    return agree


async def count_sightings(connection: Connection, warehouse: Warehouse, run_id: int, number: int) -> Sighted:
    """Return how much of a pass is stored."""
    return Sighted(**dict(await connection.fetchrow(warehouse.sql("verify/count"), run_id, number)))


async def read_differences(
    connection: Connection, warehouse: Warehouse, run_id: int, number: int, synced: int | None, after: str, limit: int
) -> list[Difference]:
    """Return the next differences of a pass, in the order of their keys. `synced`: what `as_last_shown` is about."""
    rows = await connection.fetch(warehouse.sql("verify/differences"), run_id, number, after, limit, synced)
    return [Difference(**dict(row)) for row in rows]


async def pick_shown(connection: Connection, warehouse: Warehouse, run_id: int, number: int) -> list[str]:
    """Return ids of a few messages that a pass showed exactly as the mirror holds them."""
    return [row["message_id"] for row in await connection.fetch(warehouse.sql("verify/pick_shown"), run_id, number)]


async def leave_for_sync(
    connection: Connection, warehouse: Warehouse, run_id: int, ids: Sequence[str], practitioners: Sequence[str]
) -> None:
    """Store the messages that the next sync is to ask for, and the practitioners discovered with them."""
    await connection.execute(warehouse.sql("verify/want"), ids, run_id)
    await connection.execute(warehouse.sql("land/note_practitioners"), practitioners, run_id)


async def leave_for_replay(connection: Connection, warehouse: Warehouse, run_id: int, ids: Sequence[str]) -> None:
    """Store which rows were altered, for the next replay."""
    await connection.execute(warehouse.sql("verify/remember_altered"), ids, run_id)


async def read_wanted(connection: Connection, warehouse: Warehouse) -> list[str]:
    """Return the ids that verifications left for a sync, and that no sync has asked for yet."""
    return [row["id"] for row in await connection.fetch(warehouse.sql("verify/read_wanted"))]


async def settle_wanted(connection: Connection, warehouse: Warehouse, run_id: int) -> None:
    """Delete the wanted ids that this run has asked for."""
    await connection.execute(warehouse.sql("verify/settle_wanted"), run_id)


async def known_patients(connection: Connection, warehouse: Warehouse) -> list[str]:
    """Return the ids of patients discovered in messages."""
    return [row["patient_id"] for row in await connection.fetch(warehouse.sql("verify/known_patients"))]
