"""Finds the rows of a batch that the server refuses, so that the rest of the batch is written.

An index, constraint, generated column or trigger that somebody added to the mirror's tables may refuse a single row.
The batch is then tried in halves, each within a savepoint.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING

import asyncpg

from worker.load.postgres.migrations import known_files
from worker.load.postgres.sqlstates import Then, meaning_of
from worker.records import Quality, Reason, Rejected
from worker.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from worker.load.postgres.database import Connection, Warehouse
    from worker.records import Message


async def write_in_parts(
    connection: Connection,
    warehouse: Warehouse,
    messages: Sequence[Message],
    write: Callable[[Sequence[Message]], Awaitable[object]],
) -> list[Message]:
    """Call `write` with parts of `messages` as large as the server accepts. Return the messages that it refuses.

    In the caller's transaction. The log names the objects that refuse them.
    """
    refused: list[Message] = []
    why: Counter[tuple[str | None, str | None, str | None]] = Counter()
    """By SQLSTATE, table and constraint: names of objects of the database, no values."""

    async def write_part(part: Sequence[Message]) -> None:
        try:
            async with connection.transaction():
                await write(part)
        except asyncpg.PostgresError as error:
            if meaning_of(error).then is not Then.SET_ASIDE:
                raise
            if len(part) > 1:
                await write_part(part[: len(part) // 2])
                await write_part(part[len(part) // 2 :])
                return
            refused.extend(part)
            why[error.sqlstate, error.table_name, error.constraint_name] += 1

    # A deferred constraint would refuse them at the commit, when nobody can tell which.
    await connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
    await write_part(messages)
    for (sqlstate, table, constraint), count in why.items():
        # The server does not always say which: if a function of an index fails, it names neither.
        added = None if constraint else await _read_added(connection, warehouse)
        get_logger().warning(
            "the warehouse refused messages, which were set aside",
            messages=count,
            sqlstate=sqlstate,
            table=table,
            constraint=constraint,
            added=added,
        )
    return refused


def rejected(message: Message, reason: Reason = Reason.REFUSED_BY_WAREHOUSE) -> Rejected:
    """Return a message as it goes to quarantine: the resource alone, under the hash of the whole entry."""
    return Rejected(reason, message.id, b'{"resource":' + message.resource + b"}", message.raw_hash)


async def find_partial(connection: Connection, warehouse: Warehouse, messages: Sequence[Message]) -> list[Message]:
    """Return those of these messages that the source calls partial and that would land over a whole version.

    That is another message of theirs, or their live row, which is locked until the transaction ends.
    """
    partial = [message for message in messages if Quality.PARTIAL in message.quality]
    if not partial:
        return []
    rows = await connection.fetch(warehouse.sql("land/lock_whole"), sorted({message.id for message in partial}))
    whole = {row["id"] for row in rows} | {one.id for one in messages if Quality.PARTIAL not in one.quality}
    return [message for message in partial if message.id in whole]


async def _read_added(connection: Connection, warehouse: Warehouse) -> str:
    schemas = [warehouse.schema, f"{warehouse.schema}_ops"]
    return ", ".join(row["name"] for row in await connection.fetch(warehouse.sql("land/read_added"), schemas, _ours()))


@cache
def _ours() -> list[str]:
    """Return the names of the indexes that the schema and its migrations make."""
    return [name for file in known_files() for name in re.findall(r"CREATE (?:UNIQUE )?INDEX (\w+)", file.text)]
