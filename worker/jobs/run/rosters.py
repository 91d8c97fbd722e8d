"""Walks the people searches of a run — practitioners, patients — by the same rules as the searches for messages."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from worker.extract import roster
from worker.extract.content_hash import hash_entry
from worker.jobs.run import acceptance, plan
from worker.jobs.run.reading import read_search
from worker.jobs.run.tally import Shown, Tally
from worker.load.worklist import RosterWalk
from worker.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from worker.extract.client import Source
    from worker.records import Page, Practitioner


@dataclass(frozen=True, slots=True)
class People:
    """Who was listed by a people search, in the order of the pages, and how the walk went, for the ledger."""

    ids: tuple[str, ...]
    practitioners: tuple[Practitioner, ...]
    walked: RosterWalk

    @property
    def accepted(self) -> bool:
        """Whether the search was provably read completely, and is believed."""
        return self.walked.reason is None


async def read_practitioners(source: Source) -> list[People]:
    """Read the roster: active, then inactive practitioners, including those who are not schedulable.

    Somebody who is made active between the two is on neither list, so the active ones are read again at the end.
    """
    active, inactive = [await _read(source, search, roster.read_practitioner) for search in roster.PRACTITIONERS]
    again = await _read(source, roster.PRACTITIONERS[0], roster.read_practitioner)
    return [_either(active, again), inactive]


def _either(one: People, other: People) -> People:
    """Return everybody whom one of two readings of a list shows. The result is accepted if both readings were."""
    return People(
        ids=tuple(dict.fromkeys(one.ids + other.ids)),
        practitioners=tuple({p.id: p for p in one.practitioners + other.practitioners}.values()),
        walked=replace(other.walked, started_at=one.walked.started_at) if one.accepted else one.walked,
    )


def object_to(lists: Sequence[People], reason: str | None) -> list[People]:
    """Return the lists as not accepted for `reason`, unless that is None."""
    if reason is None:
        return [*lists]
    return [replace(one, walked=replace(one.walked, reason=reason)) for one in lists]


async def read_patients(source: Source, discovered: Collection[str]) -> People:
    """Read the ids of all patients, active and inactive. An empty list is not accepted if messages name patients."""
    listed = await _read(source, roster.PATIENTS, roster.read_patient)
    if listed.ids or not discovered or not listed.accepted:
        return listed
    return object_to([listed], plan.ROSTER_EMPTY)[0]


async def _read(source: Source, search: roster.RosterSearch, decode: Callable[[bytes], roster.RosterEntry]) -> People:
    parameter, value = search.parameters[-1] if search.parameters else ("", "")
    for attempt in range(1, acceptance.WALKS_MAX + 1):
        await source.pause(acceptance.PAUSES_S[attempt - 1])
        started_at = datetime.now(UTC)
        walk = _Walk(search, decode)
        reason = await walk.to_the_end(source)
        if reason is None:
            break
        get_logger().warning("a roster walk was not accepted", reason=reason, attempt=attempt)
    return People(
        ids=tuple(walk.listed),
        practitioners=tuple(entry.practitioner for entry in walk.listed.values() if entry.practitioner is not None),
        walked=RosterWalk(
            resource=search.resource,
            parameter=parameter,
            value=value,
            reason=reason,
            walks=attempt,
            started_at=started_at,
            total=walk.tally.total,
            pages=walk.tally.pages,
            entries=walk.tally.entries,
        ),
    )


class _Walk:
    """One walk of a people search: what it was shown (`tally`), and whom it listed, by id."""

    def __init__(self, search: roster.RosterSearch, decode: Callable[[bytes], roster.RosterEntry]) -> None:
        self.tally = Tally()
        self.listed: dict[str, roster.RosterEntry] = {}
        self._nobody = False
        self._search = search
        self._decode = decode

    async def to_the_end(self, source: Source) -> str | None:
        reason = await read_search(source, self._search.resource, self._search.parameters, self.tally, self._take)
        # An entry without an id may be a person whose messages would be missed.
        return reason or ("unusable_entry" if self._nobody else None)

    async def _take(self, page: Page) -> Shown:
        decoded = [(self._decode(entry), hash_entry(entry)) for entry in page.entries]
        matches = [(entry, raw_hash) for entry, raw_hash in decoded if not entry.non_match]
        self.listed |= {entry.id: entry for entry, _ in matches if entry.id is not None}
        self._nobody = self._nobody or any(entry.id is None for entry, _ in matches)
        return Shown(
            keys=[entry.key for entry, _ in matches],
            raw_hashes=[raw_hash for _, raw_hash in matches],
            strangers=sum(not self._search.asked_for(one.practitioner) for one, _ in matches if one.practitioner),
            is_whole=not any(entry.not_whole for entry, _ in decoded),
        )
