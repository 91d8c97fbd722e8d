"""What a reader of the warehouse sees at one moment, and whether it hangs together.

Nothing in here trusts what a job says of itself: rows are derived anew from the stored resources and compared.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

from tests.rows import to_message
from worker.extract.entry import read_resource
from worker.records import Communication
from worker.transform.message import rules_version

if TYPE_CHECKING:
    from collections.abc import Iterable

    import asyncpg

    from worker.records import Message
    from worker.transform.message import Rules

Row: TypeAlias = dict[str, Any]
Chain: TypeAlias = tuple[tuple[bytes, bool], ...]
"""The versions of a message in the order in which they became known: content hash, and whether it said deleted."""


@dataclass(frozen=True, slots=True)
class View:
    """One snapshot of the tables. `ran` and `searches` are in the order of their numbers."""

    messages: dict[str, Row]
    history: dict[str, list[Row]]
    resources: dict[tuple[str, bytes], bytes]
    payloads: dict[str, list[tuple[Any, ...]]]
    recipients: dict[str, list[tuple[Any, ...]]]
    runs: list[Row]
    searches: list[Row]
    open_quarantine: frozenset[bytes]

    def chains(self) -> dict[str, Chain]:
        """Return every message's versions, the present one last."""
        return {
            message_id: tuple((row["_content_hash"], row["_deleted_at"] is not None) for row in (*past, present))
            for message_id, present in self.messages.items()
            for past in [self.history.get(message_id, [])]
        }


async def look(database: asyncpg.Connection) -> View:
    """Read everything that is committed, as of one moment."""
    async with database.transaction(isolation="repeatable_read", readonly=True):
        messages = await database.fetch("SELECT * FROM canvas.message")
        history = await database.fetch("SELECT * FROM canvas.message_history ORDER BY id, _known_from")
        resources = await database.fetch("SELECT id, _content_hash, resource FROM canvas_ops.communication")
        payloads = await database.fetch("SELECT * FROM canvas.message_payload ORDER BY message_id, position")
        recipients = await database.fetch("SELECT * FROM canvas.message_recipient ORDER BY message_id, position")
        runs = await database.fetch("SELECT * FROM canvas_ops.run ORDER BY id")
        searches = await database.fetch("SELECT * FROM canvas_ops.search ORDER BY id")
        quarantine = await database.fetch("SELECT raw_hash FROM canvas_ops.quarantine WHERE resolved_at IS NULL")
    return View(
        {row["id"]: dict(row) for row in messages},
        _grouped(history, "id"),
        {(row["id"], row["_content_hash"]): row["resource"] for row in resources},
        {key: [tuple(row.values())[1:] for row in rows] for key, rows in _grouped(payloads, "message_id").items()},
        {key: [tuple(row.values())[1:] for row in rows] for key, rows in _grouped(recipients, "message_id").items()},
        [dict(row) for row in runs],
        [dict(row) for row in searches],
        frozenset(row["raw_hash"] for row in quarantine),
    )


def torn(view: View, rules: Iterable[Rules]) -> list[str]:
    """Say where a snapshot does not hang together, whatever was going on: nowhere, if it is sound.

    `rules` are those that any row may have been derived by.
    """
    by_version = {rules_version(one): one for one in rules}
    run_ids = {run["id"] for run in view.runs}
    found: list[str] = []
    for message_id, row in view.messages.items():
        past = view.history.get(message_id, [])
        for version in (*past, row):
            found += _derived_otherwise(view, version, by_version)
            if version["_run_id"] not in run_ids:
                found.append(f"{message_id}: a version of a run that is not there")
        found += _broken_intervals(row, past)
        found += _parts_do_not_fit(view, row, by_version)
    orphans = view.history.keys() | view.payloads.keys() | view.recipients.keys()
    return found + [f"{message_id}: has parts or a past, but no row" for message_id in orphans - view.messages.keys()]


def _derived_otherwise(view: View, row: Row, rules: dict[str, Rules]) -> list[str]:
    message = _derive(view, row, rules)
    if message is None:
        return [f"{row['id']}: a version without its resource"]
    differing = [column for column, value in _columns(message).items() if row[column] != value]
    return [f"{row['id']}: {column} is not what its resource says" for column in differing]


def _derive(view: View, row: Row, rules: dict[str, Rules]) -> Message | None:
    resource = view.resources.get((row["id"], row["_content_hash"]))
    if resource is None:
        return None
    record = read_resource(resource)
    return to_message(record, rules[row["_rules_version"]]) if isinstance(record, Communication) else None


def _columns(message: Message) -> Row:
    recipient = message.recipients[0] if message.recipients else None
    return {
        "status": message.status,
        "delivery": message.delivery,
        "direction": message.direction,
        "patient_id": message.patient_id,
        "practitioner_id": message.practitioner_id,
        "sender_type": message.sender and message.sender.type,
        "sender_id": message.sender and message.sender.id,
        "recipient_type": recipient and recipient.type,
        "recipient_id": recipient and recipient.id,
        "sent_at": message.sent_at,
        "received_at": message.received_at,
        "body_text": message.body.text,
        "body_html": message.body.html,
        "body_format": message.body.format,
        "body_format_basis": message.body.basis,
        "payload_count": message.payload_count,
        "_quality": list(message.quality),
        "_content_hash": message.content_hash,
    }


def _broken_intervals(row: Row, past: list[Row]) -> list[str]:
    starts = [version["_known_from"] for version in past] + [row["_changed_at"]]
    found = []
    if starts[0] != row["_first_seen_at"]:
        found.append(f"{row['id']}: its history does not begin when it was first seen")
    if any(version["_known_to"] != start for version, start in zip(past, starts[1:], strict=True)):
        found.append(f"{row['id']}: its history has gaps or overlaps")
    said = [(version["_content_hash"], version["_deleted_at"] is not None) for version in (*past, row)]
    if any(one == next_one for one, next_one in pairwise(said)):
        found.append(f"{row['id']}: the same version twice in a row")
    return found


def _parts_do_not_fit(view: View, row: Row, rules: dict[str, Rules]) -> list[str]:
    message = _derive(view, row, rules)
    if message is None:
        return []
    bodies = [(n, body.text, body.html, body.format, body.basis) for n, body in enumerate(message.payloads, start=1)]
    people = [(n, one.type, one.id) for n, one in enumerate(message.recipients, start=1)]
    found = []
    if view.payloads.get(row["id"], []) != bodies:
        found.append(f"{row['id']}: its payloads are those of another version")
    if view.recipients.get(row["id"], []) != (people if len(people) > 1 else []):
        found.append(f"{row['id']}: its recipients are those of another version")
    return found


def _grouped(rows: Iterable[asyncpg.Record], key: str) -> dict[str, list[Row]]:
    groups: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row[key]].append(dict(row))
    return dict(groups)
