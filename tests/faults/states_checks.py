"""What must hold between the source as the model knows it and the mirror as its tables say: checks that complain."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tests.faults.model import NEVER
from tests.faults.states_rows import is_spoiled, parts_of, row_of, said
from tests.faults.worlds import entry_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Set

    import asyncpg

    from tests.faults.model import Source
    from worker.sandbox.messages import Resource

_VERSIONS = """
SELECT
    id, _changed_at AS known_from, NULL::timestamptz AS known_to, m.ctid::text || m.xmin::text AS place,
    status, delivery, direction, patient_id, practitioner_id, sent_at, received_at, body_text, body_format,
    payload_count, _rules_version, _deleted_at, resource,
    ARRAY(
        SELECT p.body_format || ': ' || p.body_text
        FROM canvas.message_payload AS p
        WHERE p.message_id = id
        ORDER BY position
    ) AS payloads,
    ARRAY(
        SELECT r.recipient_id FROM canvas.message_recipient AS r WHERE r.message_id = id ORDER BY position
    ) AS recipients
FROM canvas.message AS m
LEFT JOIN canvas_ops.communication AS c USING (id, _content_hash)
UNION ALL
SELECT
    id, _known_from, _known_to, h.ctid::text || h.xmin::text,
    status, delivery, direction, patient_id, practitioner_id, sent_at, received_at, body_text, body_format,
    payload_count, _rules_version, _deleted_at, resource, NULL, NULL
FROM canvas.message_history AS h
LEFT JOIN canvas_ops.communication AS c USING (id, _content_hash)
"""
_LEFT_BEHIND = (
    "SELECT count(*) FROM canvas_ops.search AS s JOIN canvas_ops.run AS r ON r.id = s.run_id"
    " WHERE s.status = 'walking' OR (s.status = 'pending' AND r.outcome IN ('complete', 'incomplete', 'failed'))"
)


@dataclass(frozen=True, slots=True)
class Version:
    """A present (`known_to` None) or past version of a message in the mirror. `place`: any write changes it."""

    id: str
    known_from: datetime
    known_to: datetime | None
    deleted: bool
    place: str
    rules_version: str
    resource: Resource | None
    row: dict[str, Any]


@dataclass(frozen=True, slots=True)
class View:
    """The mirror at one moment, `at` by its own clock. `quarantined` maps open entries to message ids."""

    at: datetime
    current: Mapping[str, Version]
    past: tuple[Version, ...]
    quarantined: Mapping[bytes, str | None]
    practitioners: frozenset[str]
    freshness: dict[str, Any]
    left_behind: int
    held: frozenset[str]

    def as_of(self, instant: datetime) -> dict[str, str]:
        """Return what the mirror knew at an instant: the live messages, and what each said."""
        known = [
            version
            for version in (*self.past, *self.current.values())
            if version.known_from <= instant and (version.known_to is None or instant < version.known_to)
        ]
        return {version.id: _content(version) for version in known if not version.deleted}


async def look(database: asyncpg.Connection) -> View:
    """Read it, in one snapshot."""
    async with database.transaction(isolation="repeatable_read", readonly=True):
        versions = [_version(row) for row in await database.fetch(_VERSIONS)]
        open_entries = await database.fetch(
            "SELECT entry, message_id FROM canvas_ops.quarantine WHERE resolved_at IS NULL"
        )
        met = await database.fetch("SELECT id FROM canvas.practitioner")
        return View(
            at=await database.fetchval("SELECT clock_timestamp()"),
            current={version.id: version for version in versions if version.known_to is None},
            past=tuple(version for version in versions if version.known_to is not None),
            quarantined={bytes(row["entry"]): row["message_id"] for row in open_entries},
            practitioners=frozenset(row["id"] for row in met),
            freshness=dict(await database.fetchrow("SELECT * FROM canvas.freshness")),
            left_behind=await database.fetchval(_LEFT_BEHIND),
            held=frozenset(row["id"] for row in await database.fetch("SELECT id FROM canvas_ops.held")),
        )


def _version(row: asyncpg.Record) -> Version:
    fields = dict(row)
    resource = fields.pop("resource")
    return Version(
        id=fields.pop("id"),
        known_from=fields.pop("known_from"),
        known_to=fields.pop("known_to"),
        deleted=fields.pop("_deleted_at") is not None,
        place=fields.pop("place"),
        rules_version=fields.pop("_rules_version"),
        resource=None if resource is None else json.loads(resource),
        row=fields,
    )


def _content(version: Version) -> str:
    return json.dumps(said(version.resource or {}), sort_keys=True)


def cutoff_of(rules_version: str) -> datetime:
    """Return the instant from which a row's rules counted bodies as HTML: `1@2022-10-27T00:00:00Z/…`."""
    return datetime.fromisoformat(rules_version.partition("@")[2].partition("/")[0])


def wrong_columns(view: View) -> list[str]:
    """Hold that every version, present and past, has its resource, and the columns that follow from it.

    A present one also has its payloads, where there are several.
    """
    complaints = []
    for version in (*view.current.values(), *view.past):
        if version.resource is None:
            complaints.append(f"{version.id}: a version without its resource")
            continue
        cutoff = cutoff_of(version.rules_version)
        wanted = row_of(version.resource, cutoff)
        if version.known_to is None:
            wanted |= parts_of(version.resource, cutoff)
        wrong = [
            f"{name} {version.row[name]!r}, not {value!r}"
            for name, value in wanted.items()
            if version.row[name] != value
        ]
        complaints += [f"{version.id}: column {one}" for one in wrong]
    return complaints


def gaps(view: View) -> list[str]:
    """Hold that a message's versions follow one another without a gap."""
    ends = {(one.id, one.known_to) for one in view.past}
    starts = {(one.id, one.known_from) for one in (*view.past, *view.current.values())}
    return [f"{message_id}: a version ended, and none began then" for message_id, _ in ends - starts]


def unlike(view: View, served: Iterable[Resource]) -> list[str]:
    """Hold that each of `served` is a live row that says the same, or lies in quarantine if it cannot be one.

    Of what is a row nothing may lie open in quarantine.
    """
    complaints = []
    for resource in served:
        message_id, row = resource["id"], view.current.get(resource["id"])
        if is_spoiled(resource):
            if entry_bytes(resource) not in view.quarantined:
                complaints.append(f"{message_id}: cannot be a row, and is not in quarantine")
        elif row is None or row.deleted:
            complaints.append(f"{message_id}: served, and {'not a row' if row is None else 'marked as deleted'}")
        elif said(row.resource or {}) != said(resource):
            complaints.append(f"{message_id}: the row holds another version")
        elif message_id in view.quarantined.values():
            complaints.append(f"{message_id}: the row is right, and an entry of it lies open in quarantine")
    return complaints


def surplus(view: View, served: Set[str]) -> list[str]:
    """Hold that no row is live that the source lacks; `served` are ids."""
    return [
        f"{one.id}: live, and not served" for one in view.current.values() if not one.deleted and one.id not in served
    ]


def false_deletions(before: View, after: View, source: Source, began_at: datetime, denied: set[str]) -> list[str]:
    """Hold that what was marked as deleted since `before` was absent at some moment since `began_at`."""
    served = source.served()
    return [
        f"{version.id}: marked as deleted, and answers"
        for version in after.current.values()
        if version.deleted
        and (version.id not in before.current or version.known_from > before.at)
        and version.id in served
        and source.back.get(version.id, NEVER) < began_at
        and version.id not in denied
    ]


def deletions(before: View, after: View) -> int:
    """Return how many rows were marked as deleted between two views."""
    return sum(
        version.deleted and version.known_from > before.at and not _was_deleted(before, version.id)
        for version in after.current.values()
    )


def _was_deleted(view: View, message_id: str) -> bool:
    return message_id in view.current and view.current[message_id].deleted


def written(before: View, after: View) -> list[str]:
    """Hold that no row of `before`, present or past, was written again, and no past version added."""
    complaints = [
        f"{version.id}: written again though the source stood still"
        for version in before.current.values()
        if after.current[version.id].place != version.place
    ]
    places = {version.place for version in before.past}
    return complaints + [f"{one.id}: a version was added" for one in after.past if one.place not in places]


def forgotten(view: View, snapshots: Mapping[datetime, dict[str, str]]) -> list[str]:
    """Hold that what complete runs saw is what the mirror says it knew then."""
    complaints = []
    for instant, snapshot in snapshots.items():
        known = view.as_of(instant)
        differing = [one for one in snapshot.keys() | known.keys() if snapshot.get(one) != known.get(one)]
        complaints += [
            f"{one}: history does not tell what a complete run saw at {instant:%H:%M:%S.%f}" for one in differing
        ]
    return complaints
