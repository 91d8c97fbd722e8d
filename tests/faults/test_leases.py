"""A walk that takes longer than its lease, and lands nothing meanwhile, is left alone by the other walks of its run."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal
from unittest.mock import patch

import pytest
from aiohttp import web

from tests.faults.script import Faults
from tests.faults.worlds import open_world
from tests.integration.mirroring import until
from worker.extract.exchange import Bounds
from worker.jobs.run import claims
from worker.jobs.run.plan import Outcome
from worker.load import worklist
from worker.sandbox.population import make_clinic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from aiohttp.typedefs import Handler, Middleware

    from tests.faults.worlds import World

Page = Literal["the first page", "a later page"]
PAGES: tuple[Page, ...] = ("the first page", "a later page")
LEASE = timedelta(seconds=2)
LEASED_UNTIL = "SELECT max(leased_until) FROM canvas_ops.search WHERE parameter = 'recipient' AND status = 'walking'"
WALKS = (
    "SELECT parameter, walks FROM canvas_ops.search WHERE resource = 'Communication'"
    " AND run_id = (SELECT max(id) FROM canvas_ops.run) ORDER BY parameter"
)


@contextmanager
def leases_are_not_renewed() -> Iterator[None]:
    """Sabotage: leases last as long as they were given for, whatever is under way."""

    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    with patch.object(claims, "_keep_leases", never):
        yield


@dataclass
class SlowPage:
    """A middleware that holds a page of the search by recipient back until its lease, as it was given, is over.

    The search by sender ends only then, and the page comes only once whoever walked that has looked for more to walk.
    """

    held: Page
    world: World | None = None
    claims_answered: int = 0
    lease_over: asyncio.Event = field(default_factory=asyncio.Event)

    def middleware(self) -> Middleware:
        @web.middleware
        async def slow(request: web.Request, handler: Handler) -> web.StreamResponse:
            if self.world is None or request.path != "/Communication" or "_id" in request.query:
                return await handler(request)
            if "sender" in request.query:
                await self.lease_over.wait()
            elif self._is_held(request) and not self.lease_over.is_set():
                await self._hold(self.world)
            return await handler(request)

        return slow

    def _is_held(self, request: web.Request) -> bool:
        return ("_offset" in request.query) == (self.held == "a later page")

    async def _hold(self, world: World) -> None:
        given: datetime = await world.database.fetchval(LEASED_UNTIL)

        async def is_over() -> bool:
            over: bool = await world.database.fetchval("SELECT clock_timestamp() > $1", given)
            return over

        await until(is_over)
        self.lease_over.set()
        await until(self._was_looked_for_more)

    async def _was_looked_for_more(self) -> bool:
        return self.claims_answered > 2

    @contextmanager
    def counting(self) -> Iterator[None]:
        claim_search = worklist.claim_search

        async def counted(*arguments: Any) -> worklist.Claim | None:
            claim = await claim_search(*arguments)
            self.claims_answered += 1
            return claim

        with patch.object(worklist, "claim_search", counted):
            yield


async def walks_of_a_slow_run(held: Page, warehouse_url: str) -> dict[str, int]:
    """Mirror an unchanged source, two searches at once, one page held back; return how often each was walked."""
    clinic = make_clinic(messages=60, practitioners=1, patients=5, seed=5)
    page = SlowPage(held)
    faults = Faults(clinic, page_max=10)
    variables = {"MIRROR_CONCURRENCY": "2", "MIRROR_PATIENCE": "1s"}
    middlewares = [page.middleware(), faults.middleware]
    async with open_world(warehouse_url, clinic, middlewares=middlewares, **variables) as world:
        world.bounds = Bounds()
        assert (await world.sync()).outcome is Outcome.COMPLETE
        page.world = world
        with page.counting(), patch.object(claims, "LEASE_MIN", LEASE):
            result = await world.sync()
        assert (result.outcome, result.sums.new, result.sums.changed) == (Outcome.COMPLETE, 0, 0)
        return {row["parameter"]: row["walks"] for row in await world.database.fetch(WALKS)}


@pytest.mark.parametrize("held", PAGES)
async def test_a_page_that_takes_longer_than_the_lease(held: Page, warehouse_url: str) -> None:
    """Nothing changed, so nothing is landed: all the same the search is walked once, by whoever began."""
    assert await walks_of_a_slow_run(held, warehouse_url) == {"recipient": 1, "sender": 1}


@pytest.mark.parametrize("held", PAGES)
async def test_without_renewal_it_is_walked_again(held: Page, warehouse_url: str) -> None:
    """Sabotage: the other walk of the same run takes the search away."""
    with leases_are_not_renewed():
        assert (await walks_of_a_slow_run(held, warehouse_url))["recipient"] > 1
