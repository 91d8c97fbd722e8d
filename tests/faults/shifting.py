"""A search that changes between any two of its answers, read by the mirror's own reader; only the network is not there.

The list of rows, what happens to it behind each request, and how long each answer takes are a `Schedule`. The pages of
second readings come in any order. Each `total` is that of the instant of its answer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from itertools import count, pairwise
from typing import TYPE_CHECKING, Literal, TypeAlias
from urllib.parse import parse_qs, urlsplit

from worker.extract.client import Source
from worker.jobs.run.reading import read_search
from worker.jobs.run.tally import Shown, Tally
from worker.records import Page

if TYPE_CHECKING:
    from random import Random

Event: TypeAlias = "tuple[Literal['comes', 'goes', 'moves'], int, int]"
"""What happens to the list, at which place, and for what moves: to which."""

BASE_URL = "http://shifting.invalid"
CONCURRENCY = 4
DELAYS = (0, 0, 1, 4, 9)


@dataclass(frozen=True, slots=True)
class Step:
    """What happens just before an answer is made, and how many turns the request and the answer are on their way."""

    events: tuple[Event, ...] = ()
    going: int = 0
    coming: int = 0


@dataclass(frozen=True, slots=True)
class Schedule:
    """A list of `rows` in pages of `page`, the steps of the requests in their order, then nothing happens any more.

    `known`: the mirror has seen all rows before. `sessions`: `next` links name the session that the first page opens,
    in which the list stays what it was, as on servers that keep the result of a search.
    """

    rows: int
    page: int
    steps: tuple[Step, ...]
    known: bool = False
    sessions: bool = False


class Total(int):
    """A total that remembers which rows were there when it was counted."""

    there: frozenset[str]


class ShiftingSource(Source):
    """The mirror's client; it asks a list instead of a server. Who goes does not come back."""

    def __init__(self, schedule: Schedule) -> None:
        self.rows = [f"old-{number}" for number in range(schedule.rows)]
        self.steady = set(self.rows)
        self.asked = 0
        self._schedule = schedule
        self._steps = deque(schedule.steps)
        self._sessions: list[list[str]] = []
        self._new = 0
        self._base_url = BASE_URL
        self._concurrency = CONCURRENCY
        self._slots = asyncio.Semaphore(CONCURRENCY)
        self._events = count(1)

    async def _ask(self, url: str) -> Page:
        self.asked += 1
        step = self._steps.popleft() if self._steps else Step()
        for _ in range(step.going):
            await asyncio.sleep(0)
        for event in step.events:
            self._happen(*event)
        page = self._answer(url)
        for _ in range(step.coming):
            await asyncio.sleep(0)
        return page

    def _happen(self, kind: str, place: int, other: int) -> None:
        if kind == "comes":
            self.rows.insert(place % (len(self.rows) + 1), f"new-{self._new}")
            self._new += 1
        elif self.rows:
            row = self.rows.pop(place % len(self.rows))
            if kind == "moves":
                self.rows.insert(other % (len(self.rows) + 1), row)
            else:
                self.steady.discard(row)

    def _answer(self, url: str) -> Page:
        asked = parse_qs(urlsplit(url).query)
        offset, session = int(asked.get("offset", ["0"])[0]), ""
        rows = self.rows
        if self._schedule.sessions:
            if "session" not in asked:
                self._sessions.append([*self.rows])
            number = int(asked.get("session", [str(len(self._sessions) - 1)])[0])
            rows, session = self._sessions[number], f"session={number}&"
        total = Total(len(rows))
        total.there = frozenset(rows)
        after = offset + self._schedule.page
        return Page(
            url=url,
            total=total,
            entries=tuple(row.encode() for row in rows[offset:after]),
            next_url=f"{BASE_URL}/Communication?{session}offset={after}" if after < len(rows) else None,
        )


@dataclass(frozen=True, slots=True)
class Read:
    """How a search was read: why it was not accepted, in how many readings, begun or ended, and how many requests.

    `missed` are rows that were never shown though they were there at the instant by which the search was accepted,
    `overtaken` tells how many answers arrived before one that had been asked for earlier.
    """

    reason: str | None
    readings: int
    requests: int
    missed: frozenset[str]
    overtaken: int


async def read(schedule: Schedule) -> Read:
    """Read a search that shifts by this schedule."""
    source = ShiftingSource(schedule)
    tally = Tally(frozenset(source.rows) if schedule.known else frozenset())
    shown: set[str] = set()
    arrivals: list[int] = []
    begun = 0

    async def take(page: Page) -> Shown:
        nonlocal begun
        begun += "offset" not in page.url
        arrivals.append(page.arrived)
        keys = [entry.decode() for entry in page.entries]
        shown.update(keys)
        return Shown(keys, page.entries)

    reason = await read_search(source, "Communication", [("recipient", "x")], tally, take)
    missed: frozenset[str] = frozenset()
    if reason is None:
        assert isinstance(tally.total, Total)
        missed = tally.total.there - shown
        assert source.steady - shown <= missed
    overtaken = sum(one > other for one, other in pairwise(arrivals))
    return Read(reason, begun, source.asked, missed, overtaken)


def draw(random: Random) -> Schedule:
    """Draw a schedule: short pages, often a deletion that an insertion makes up for, then some quiet."""
    busy = random.choice((0.1, 0.3, 0.6))
    steps = tuple(
        Step(
            tuple(_events(random)) if random.random() < busy else (),
            random.choice(DELAYS),
            random.choice(DELAYS),
        )
        for _ in range(random.randrange(4, 40))
    )
    return Schedule(
        rows=random.randrange(0, 16),
        page=random.randrange(2, 6),
        steps=steps,
        known=random.random() < 0.3,
        sessions=random.random() < 0.2,
    )


def _events(random: Random) -> list[Event]:
    one, other = random.randrange(16), random.randrange(16)
    comes: Event = ("comes", one, 0)
    goes: Event = ("goes", other, 0)
    moves: Event = ("moves", one, other)
    kinds: tuple[list[Event], ...] = (
        [("comes", 0, 0)],
        [("comes", -1, 0)],
        [comes],
        [goes],
        [moves],
        [goes, comes],
        [goes, comes, moves],
        [comes, comes],
    )
    return random.choice(kinds)
