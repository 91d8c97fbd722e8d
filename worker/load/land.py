"""Landing: a batch of messages → rows, versions and history, inside the caller's transaction.

The rows are read first and compared (`classify`), so that an unchanged message costs no write at all: PostgreSQL would
lock and log even rows that an `ON CONFLICT … WHERE` leaves alone. The others are staged by COPY and written in the
order of their ids. Under READ COMMITTED each statement sees what was committed before it, so an id that another writer
inserts in between counts as changed for the statements that follow.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from worker.load.postgres.database import Connection, Warehouse
    from worker.records import Message, Practitioner

_STAGED_COLUMNS = (
    "id", "status", "delivery", "direction", "patient_id", "practitioner_id", "sender_type", "sender_id",
    "recipient_type", "recipient_id", "sent_at", "received_at", "body_text", "body_html", "body_format",
    "body_format_basis", "payload_count", "_content_hash", "_rules_version", "_quality", "resource",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Current:
    """The row of a message: its content hash, and whether it is marked as deleted."""

    content_hash: bytes
    deleted: bool


@dataclass(frozen=True, slots=True)
class Classified:
    """A batch, classified: messages without a row, messages whose row differs or is deleted, how many are unchanged."""

    new: tuple[Message, ...]
    changed: tuple[Message, ...]
    unchanged: int


@dataclass(frozen=True, slots=True)
class Landed:
    """How many messages of a batch were new, changed, unchanged, suppressed, or refused by the server.

    `unseen` is how many of the changed ones differ in no column that an analyst sees.
    """

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    suppressed: int = 0
    refused: int = 0
    unseen: int = 0


def classify(messages: Iterable[Message], current: Mapping[str, Current]) -> Classified:
    """Classify a batch by the rows in the table. If an id occurs twice, the last one counts. Pure."""
    latest = {message.id: message for message in messages}
    new, changed, unchanged = [], [], 0
    for message in latest.values():
        held = current.get(message.id)
        if held is None:
            new.append(message)
        elif held.deleted or held.content_hash != message.content_hash:
            changed.append(message)
        else:
            unchanged += 1
    return Classified(tuple(new), tuple(changed), unchanged)


def total(landed: Iterable[Landed]) -> Landed:
    """Return the sums. Pure."""
    counts = [astuple(one) for one in landed]
    return Landed(*map(sum, zip(*counts, strict=True))) if counts else Landed()


async def land_messages(
    connection: Connection, warehouse: Warehouse, messages: Sequence[Message], *, run_id: int
) -> Landed:
    """Write the new and changed ones of `messages`, with their versions and history.

    Must be called in a transaction. Repeating it changes nothing.
    """
    if not messages:
        return Landed()
    sql = warehouse.sql
    ids = [message.id for message in messages]
    suppressed = {
        row["id"] for row in await connection.fetch(sql("land/read_suppressed"), ids, [m.patient_id for m in messages])
    }
    current = {
        row["id"]: Current(row["_content_hash"], row["deleted"])
        for row in await connection.fetch(sql("land/read_current"), ids)
    }
    classified = classify((message for message in messages if message.id not in suppressed), current)
    new = changed = unseen = 0
    if classified.new or classified.changed:
        new, changed, unseen = await _write(connection, warehouse, (*classified.new, *classified.changed), run_id)
    discovered = sorted({id for message in classified.new + classified.changed for id in _practitioners_of(message)})  # noqa: A001
    if discovered:
        await connection.execute(sql("land/note_practitioners"), discovered, run_id)
    return Landed(new, changed, classified.unchanged, len(suppressed), unseen=unseen)


async def stage(connection: Connection, warehouse: Warehouse, messages: Iterable[Message]) -> None:
    """Copy messages, no id twice, into the temporary table `incoming`, which the end of the transaction empties."""
    await connection.execute(warehouse.sql("land/stage"))
    await connection.execute(warehouse.sql("land/empty_stage"))
    await connection.copy_records_to_table(
        "incoming", schema_name="pg_temp", columns=_STAGED_COLUMNS, records=map(_staged, messages)
    )


async def save_roster(
    connection: Connection, warehouse: Warehouse, listed: Sequence[Practitioner], *, run_id: int, whole: bool
) -> None:
    """Write the practitioners on the roster. If it is `whole`, mark those who are not on it as having left."""
    ids = [practitioner.id for practitioner in listed]
    await connection.execute(
        warehouse.sql("land/save_roster"),
        ids,
        [practitioner.active for practitioner in listed],
        [practitioner.name for practitioner in listed],
        run_id,
    )
    if whole:
        await connection.execute(warehouse.sql("land/leave_roster"), ids, run_id)
        await connection.execute(warehouse.sql("land/keep_roster_size"), run_id, len(ids))


async def read_roster_size(connection: Connection, warehouse: Warehouse) -> int | None:
    """Return how many practitioners the last believed roster named, None if there was none."""
    size: int | None = await connection.fetchval(warehouse.sql("land/read_roster_size"))
    return size


async def read_practitioners(connection: Connection, warehouse: Warehouse) -> list[str]:
    """Return the ids of all practitioners known to the warehouse, listed in a roster or discovered in messages."""
    return [row["id"] for row in await connection.fetch(warehouse.sql("land/read_practitioners"))]


async def _write(
    connection: Connection, warehouse: Warehouse, messages: Sequence[Message], run_id: int
) -> tuple[int, int, int]:
    sql = warehouse.sql
    await stage(connection, warehouse, messages)
    await connection.execute(sql("land/insert_versions"), run_id)
    new = _count(await connection.execute(sql("land/insert_new"), run_id))
    changed = unseen = 0
    if new < len(messages):
        await connection.execute(sql("land/lock_rows"))
        # Further recipients are not in the row of a message.
        alone = [message.id for message in messages if len(message.recipients) <= 1]
        unseen = await connection.fetchval(sql("land/count_unseen"), alone)
        await connection.execute(sql("land/keep_history"), run_id)
        changed = len(await connection.fetch(sql("land/update"), run_id))
        await rewrite_parts(connection, warehouse, messages)
    else:
        await _write_parts(connection, warehouse, messages)
    return new, changed, unseen


async def rewrite_parts(connection: Connection, warehouse: Warehouse, messages: Sequence[Message]) -> None:
    """Replace recipients and payloads of these messages by their present ones. In the caller's transaction."""
    ids = [message.id for message in messages]
    await connection.execute(warehouse.sql("land/drop_recipients"), ids)
    await connection.execute(warehouse.sql("land/drop_payloads"), ids)
    await _write_parts(connection, warehouse, messages)


async def _write_parts(connection: Connection, warehouse: Warehouse, messages: Sequence[Message]) -> None:
    recipients = [
        (message.id, position, recipient.type, recipient.id)
        for message in messages
        if len(message.recipients) > 1
        for position, recipient in enumerate(message.recipients, start=1)
    ]
    payloads = [
        (message.id, position, body.text, body.html, body.format, body.basis)
        for message in messages
        for position, body in enumerate(message.payloads, start=1)
    ]
    if recipients:
        await connection.execute(warehouse.sql("land/insert_recipients"), *map(list, zip(*recipients, strict=True)))
    if payloads:
        await connection.execute(warehouse.sql("land/insert_payloads"), *map(list, zip(*payloads, strict=True)))


def _practitioners_of(message: Message) -> list[str]:
    """Return all practitioners in a message, who are searched for from now on, including further recipients."""
    sides = (message.sender, *message.recipients)
    return [side.id for side in sides if side is not None and side.type == "Practitioner"]


def _staged(message: Message) -> tuple[object, ...]:
    recipient = message.recipients[0] if message.recipients else None
    return (
        message.id,
        message.status,
        message.delivery,
        message.direction,
        message.patient_id,
        message.practitioner_id,
        message.sender.type if message.sender else None,
        message.sender.id if message.sender else None,
        recipient.type if recipient else None,
        recipient.id if recipient else None,
        message.sent_at,
        message.received_at,
        message.body.text,
        message.body.html,
        message.body.format,
        message.body.basis,
        message.payload_count,
        message.content_hash,
        message.rules_version,
        list(message.quality),
        message.resource,
    )


def _count(command_tag: str) -> int:
    return int(command_tag.rpartition(" ")[2])
