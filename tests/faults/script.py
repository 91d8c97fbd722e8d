"""Drift and faults, seeded and scriptable: a middleware that lets chosen requests meet what real sources do.

    faults = Faults(clinic)
    faults.script = Script({7: ("row_removed", "next_missing"), 9: ("never_answers",)})
    async with SandboxServer(clinic, middlewares=[faults.middleware]) as server: ...

Every kind is one function with a docstring, in `faults_answers` (spoiled answers), `faults_pages` (Bundles that lie) or
`faults_drift` (the clinic moves on between two pages). Several at one request befall it in the order given.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from aiohttp import web

from tests.faults import faults_answers, faults_drift, faults_pages
from tests.faults.faults_moment import Moment, SpoiledSource, documented_refusal
from worker.sandbox.routes import OWN_PATH

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from aiohttp.typedefs import Handler, Middleware

Fault: TypeAlias = "Callable[[Moment], Awaitable[web.StreamResponse]]"

FAULTS: Mapping[str, Fault] = {
    fault.__name__: fault for fault in (*faults_drift.KINDS, *faults_pages.KINDS, *faults_answers.KINDS)
}
"""Every kind of fault, by name."""


@dataclass(frozen=True, slots=True)
class Script:
    """Which kinds of fault befall which request, counted from 1 since the script was given.

    `lasting` are the kinds that befall every request from a number on. Raises KeyError for a kind that is not known.
    """

    at: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    lasting: tuple[tuple[int, str], ...] = ()

    def __post_init__(self) -> None:
        """Raise KeyError now rather than in the middle of a run."""
        for kind in (*(kind for kinds in self.at.values() for kind in kinds), *(kind for _, kind in self.lasting)):
            FAULTS[kind]

    def kinds(self, number: int) -> tuple[str, ...]:
        """Return what befalls the request with this number, in order."""
        return (*self.at.get(number, ()), *(kind for first, kind in self.lasting if number >= first))


@dataclass(frozen=True, slots=True)
class SeededScript:
    """Faults by chance: each request meets one in `one_in`, of a kind drawn by `seed` and its number."""

    seed: int
    one_in: int = 20
    of: tuple[str, ...] = tuple(FAULTS)

    def kinds(self, number: int) -> tuple[str, ...]:
        """Return what befalls the request with this number: nothing, or one kind."""
        chance = random.Random(f"{self.seed}/{number}")  # noqa: S311 - repeatable, guards nothing
        return (chance.choice(self.of),) if chance.randrange(self.one_in) == 0 else ()


@dataclass(slots=True)
class Faults(SpoiledSource):
    """The middleware. `befell` lists (request number, kind) of what it has brought about so far."""

    script: Script | SeededScript = field(default_factory=Script)
    requests: int = 0
    befell: list[tuple[int, str]] = field(default_factory=list)

    @property
    def middleware(self) -> Middleware:
        """The middleware for `SandboxServer`."""

        @web.middleware
        async def befall(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path.startswith(OWN_PATH):
                return await handler(request)
            return await self._befall(request, handler)

        return befall

    def begin(self, script: Script | SeededScript | None = None) -> None:
        """Count requests from 1 again, by another script, or none. A scope that shrank is whole again, growth ends."""
        self.script = script or Script()
        self.requests = 0
        self.scope_shrunk = False
        self.grows_from = None
        self.blocked_up_to = 0

    async def _befall(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.requests += 1
        number, kinds = self.requests, self.script.kinds(self.requests)
        self.befell += [(number, kind) for kind in kinds]

        async def calm() -> web.StreamResponse:
            if number <= self.blocked_up_to:
                return faults_answers.blocked_page()
            if request.headers.get("Authorization") in self.expired:
                return documented_refusal(401)
            faults_drift.grow(Moment(self, request, number, calm))
            answer = await handler(_with_smaller_page(request, self.page_max))
            return faults_pages.emptied(answer) if self.scope_shrunk else answer

        answer: Callable[[], Awaitable[web.StreamResponse]] = calm
        for kind in reversed(kinds):
            answer = partial(FAULTS[kind], Moment(self, request, number, answer))
        return await answer()


def _with_smaller_page(request: web.Request, page_max: int) -> web.Request:
    asked = request.query.get("_count", "")
    if request.method != "GET" or not asked.isdecimal() or int(asked) <= page_max:
        return request
    return request.clone(rel_url=request.rel_url.update_query({"_count": str(page_max)}))
