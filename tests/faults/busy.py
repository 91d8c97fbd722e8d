"""A busy inbox over real HTTP: one practitioner's two searches get new messages while they are read."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Self

import asyncpg
from aiohttp import web

from tests.faults.proof import ProofResult
from tests.faults.worlds import fresh_database
from tests.integration.mirroring import PATIENT, PRACTITIONER, PlainSource, ids_of, message, mirror_settings
from worker.jobs.run.acceptance import WALKS_MAX
from worker.jobs.run.plan import Outcome
from worker.jobs.sync import sync

if TYPE_CHECKING:
    from tests.integration.mirroring import Resource

Place = Literal["at the front", "at the end", "anywhere"]
PLACES: tuple[Place, ...] = ("at the front", "at the end", "anywhere")

_PRACTITIONER = {"reference": f"Practitioner/{PRACTITIONER}"}
_PATIENT = {"reference": f"Patient/{PATIENT}"}


@dataclass(frozen=True, slots=True)
class Inbox:
    """How many messages there are on either side, how many on a page, and where new ones appear.

    One is added to either side in turn: every `every_s` seconds, or before every `every_requests`th request.
    Each page takes `latency_s`.
    """

    size: int
    place: Place
    page: int = 100
    latency_s: float = 0.0
    every_s: float | None = None
    every_requests: int | None = None
    seed: int = 0


class BusySource(PlainSource):
    """Serves an inbox. `PlainSource` has the token and the roster."""

    def __init__(self, inbox: Inbox) -> None:
        super().__init__({}, practitioners=[PRACTITIONER])
        self.inbox = inbox
        self.sides: dict[str, list[Resource]] = {
            side: [_message(side, f"old-{side}-{number}") for number in range(inbox.size)]
            for side in ("recipient", "sender")
        }
        self.at_first = {one["id"] for rows in self.sides.values() for one in rows}
        self.requests = 0
        self.added = 0
        self._random = random.Random(inbox.seed)  # noqa: S311 - repeatable, guards nothing
        self._growing: asyncio.Task[None] | None = None

    def grow(self) -> None:
        """Add a message."""
        side = ("recipient", "sender")[self.added % 2]
        rows = self.sides[side]
        place = {"at the front": 0, "at the end": len(rows), "anywhere": self._random.randrange(len(rows) + 1)}
        rows.insert(place[self.inbox.place], _message(side, f"new-{self.added}"))
        self.added += 1

    async def _grow_by_the_clock(self, every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            self.grow()

    async def _messages(self, request: web.Request) -> web.Response:
        inbox = self.inbox
        side = next((side for side in self.sides if request.query.get(side) == _PRACTITIONER["reference"]), None)
        if side is None:
            return web.Response(body=self.EMPTY)
        self.requests += 1
        if self._growing is None and inbox.every_s is not None:
            self._growing = asyncio.create_task(self._grow_by_the_clock(inbox.every_s))
        if inbox.every_requests is not None and self.requests % inbox.every_requests == 0:
            self.grow()
        await asyncio.sleep(inbox.latency_s / 2)
        rows, offset = self.sides[side], int(request.query.get("_offset", "0"))
        bundle = {
            "resourceType": "Bundle",
            "type": "searchset",
            "total": len(rows),
            "entry": [{"resource": one} for one in rows[offset : offset + inbox.page]],
        }
        if (after := offset + inbox.page) < len(rows):
            url = f"/Communication?{side}=Practitioner%2F{PRACTITIONER}&_count={inbox.page}&_offset={after}"
            bundle["link"] = [{"relation": "next", "url": url}]
        await asyncio.sleep(inbox.latency_s / 2)
        return web.json_response(bundle)

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        return self

    async def __aexit__(self, *failure: object) -> None:
        if self._growing is not None:
            self._growing.cancel()
            with suppress(asyncio.CancelledError):
                await self._growing
        await super().__aexit__(*failure)


@dataclass(frozen=True, slots=True)
class First:
    """What the first sync of an inbox came to. `missed`: ids that were there when it began and are no row."""

    outcome: Outcome
    walks: int
    requests: int
    added: int
    missed: set[str] = field(default_factory=set)


async def sync_first(server_url: str, inbox: Inbox, **variables: str) -> First:
    """Mirror an inbox for the first time, into a database of its own on the PostgreSQL at `server_url`."""
    async with fresh_database(server_url) as dsn, BusySource(inbox) as source:
        result = await sync(mirror_settings(source.url, dsn, **variables))
        database = await asyncpg.connect(dsn)
        try:
            walks = await database.fetchval("SELECT max(walks) FROM canvas_ops.search")
            missed = source.at_first - await ids_of(database)
        finally:
            await database.close()
        return First(result.outcome, walks, source.requests, source.added, missed)


async def prove(server_url: str, seed: int) -> ProofResult:
    """Mirror busy inboxes by the clock: a page takes 100 ms, and every 0.7 s there is a new message."""
    result = ProofResult("busy", seed)
    for size in (1_500, 10_000):
        for place in PLACES:
            inbox = Inbox(size, place, latency_s=0.1, every_s=0.7, seed=seed)
            first = await sync_first(server_url, inbox, MIRROR_CONCURRENCY="16")
            name = f"{size:,} a side, new ones {place}"
            result.count(f"{name}: requests", first.requests)
            result.count(f"{name}: came meanwhile", first.added)
            if first.outcome is not Outcome.COMPLETE or first.walks > WALKS_MAX or first.missed:
                result.violations.append(f"{name}: {first}")
    return result


def _message(side: str, message_id: str) -> Resource:
    sender, recipient = (_PATIENT, _PRACTITIONER) if side == "recipient" else (_PRACTITIONER, _PATIENT)
    return message(message_id, sender=sender, recipient=[recipient])
