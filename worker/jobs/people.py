"""Walks the people searches of a run — practitioners, patients — by the same rules as the searches for messages."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from worker.errors import PageFailed
from worker.extract import roster
from worker.jobs import acceptance, plan
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


async def read_practitioners(source: Source) -> list[People]:
    """Read the roster: once active, once inactive practitioners, the non-schedulable among them.

    Whoever is made active between the two is on neither list: the active ones are read once more at the end.
    """
    active, inactive = [await _read(source, search, roster.read_practitioner) for search in roster.PRACTITIONERS]
    again = await _read(source, roster.PRACTITIONERS[0], roster.read_practitioner)
    return [_either(active, again), inactive]


def _either(one: People, other: People) -> People:
    """Return everybody whom either of two readings of a list shows; accepted if both were."""
    return People(
        ids=tuple(dict.fromkeys(one.ids + other.ids)),
        practitioners=tuple({p.id: p for p in one.practitioners + other.practitioners}.values()),
        walked=one.walked if one.walked.reason is not None else replace(other.walked, started_at=one.walked.started_at),
    )


def object_to(lists: Sequence[People], reason: str | None) -> list[People]:
    """Return the lists as not accepted for `reason`, unless that is None."""
    if reason is None:
        return [*lists]
    return [replace(one, walked=replace(one.walked, accepted=False, reason=reason)) for one in lists]


async def read_patients(source: Source, met: Collection[str]) -> People:
    """Read the ids of all patients, active and inactive. A list of nobody is not accepted if messages name some."""
    listed = await _read(source, roster.PATIENTS, roster.read_patient)
    if listed.ids or not met or not listed.walked.accepted:
        return listed
    return object_to([listed], plan.ROSTER_EMPTY)[0]


async def _read(source: Source, search: roster.RosterSearch, decode: Callable[[bytes], roster.RosterEntry]) -> People:
    parameter, value = search.parameters[-1] if search.parameters else ("", "")
    reason, attempt = None, 0
    while True:
        attempt += 1
        started_at = datetime.now(UTC)
        tally = acceptance.Tally()
        listed: dict[str, roster.RosterEntry] = {}
        try:
            reason = await _walk(source, search, decode, tally, listed)
        except PageFailed as failed:
            reason = failed.reason
        if reason is None or attempt == acceptance.WALKS_MAX:
            break
        get_logger().warning("a roster walk was not accepted, walking again", reason=reason, attempt=attempt)
    return People(
        ids=tuple(listed),
        practitioners=tuple(entry.practitioner for entry in listed.values() if entry.practitioner is not None),
        walked=RosterWalk(
            resource=search.resource,
            parameter=parameter,
            value=value,
            accepted=reason is None,
            reason=reason,
            walks=attempt,
            started_at=started_at,
            total=tally.total,
            pages=tally.pages,
            entries=len(tally.keys),
        ),
    )


async def _walk(
    source: Source,
    search: roster.RosterSearch,
    decode: Callable[[bytes], roster.RosterEntry],
    tally: acceptance.Tally,
    listed: dict[str, roster.RosterEntry],
) -> str | None:
    nobody = False
    async for page in source.walk(search.resource, search.parameters):
        entries = _matches(page, decode, tally)
        strangers = sum(one.practitioner is not None and not search.asked_for(one.practitioner) for one in entries)
        tally.add_page(page.total, [entry.key for entry in entries], strangers, newcomers=len(entries))
        listed |= {entry.id: entry for entry in entries if entry.id is not None}
        nobody = nobody or any(entry.id is None for entry in entries)
    if tally.needs_first_page_again:
        await _read_again(source, search, decode, tally, listed)
    # An entry that names nobody may be somebody whose messages would be missed.
    return acceptance.objection(tally) or ("unusable_entry" if nobody else None)


async def _read_again(
    source: Source,
    search: roster.RosterSearch,
    decode: Callable[[bytes], roster.RosterEntry],
    tally: acceptance.Tally,
    listed: dict[str, roster.RosterEntry],
) -> None:
    async with aclosing(source.walk(search.resource, search.parameters)) as walk:
        async for page in walk:
            entries = _matches(page, decode, tally)
            tally.add_page_again(page.total, [entry.key for entry in entries])
            listed |= {entry.id: entry for entry in entries if entry.id is not None}
            if tally.is_read_again:
                return


def _matches(
    page: Page, decode: Callable[[bytes], roster.RosterEntry], tally: acceptance.Tally
) -> list[roster.RosterEntry]:
    entries = [*map(decode, page.entries)]
    tally.is_whole &= not any(entry.not_whole for entry in entries)
    return [entry for entry in entries if not entry.aside]
