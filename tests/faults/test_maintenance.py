"""A source that says something useless to everybody is away for a while; one page that always fails is at fault."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from aiohttp import web

from tests.faults.faults_answers import HTML
from tests.faults.worlds import open_world
from worker.errors import EXIT_SOURCE, SourceAway
from worker.extract.answers import Means, judge
from worker.extract.patience import decide
from worker.jobs.run.plan import Outcome
from worker.sandbox.population import make_clinic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiohttp.typedefs import Handler, Middleware

    from tests.faults.worlds import World
    from worker.extract.answers import Said
    from worker.extract.patience import Attempts, Failure, Reach
    from worker.sandbox.population import Clinic

KINDS = {
    "a 500": (500, b""),
    "a maintenance page": (200, HTML),
    "an OperationOutcome": (200, b'{"resourceType": "OperationOutcome", "issue": []}'),
    "a 503": (503, b""),
    "a 408": (408, b""),
    "a firewall": (403, HTML),
    "an empty 403": (403, b""),
    "an ingress": (404, b"default backend - 404"),
    "a throttled outcome": (403, b'{"resourceType": "OperationOutcome", "issue": [{"code": "throttled"}]}'),
}
REQUESTS_BEFORE = 8
"""Into the searches for messages: a token, a probe and two roster searches come before them."""


@contextmanager
def whatever_is_said_is_an_answer() -> Iterator[None]:
    """Sabotage: a 500, or a 200 that cannot be read, shows that the source answers."""

    def believing(failure: Failure, attempts: Attempts, reach: Reach, *rest: Any, now: float, **named: Any) -> Any:
        if failure.status_code in {200, 403, 500}:
            reach, attempts = reach.answered(now), replace(attempts, vouched=True)
        return decide(failure, attempts, reach, *rest, now=now, **named)

    with patch("worker.extract.connection.decide", believing):
        yield


@dataclass
class Maintenance:
    """A middleware: from some request on everybody, or only who asks for `victim`, is answered by `kind`.

    It ends `seconds` later by the world's clock.
    """

    kind: str
    seconds: float
    victim: str | None = None
    world: World | None = None
    requests: int = 0
    began: float | None = None

    def middleware(self) -> Middleware:
        @web.middleware
        async def maintained(request: web.Request, handler: Handler) -> web.StreamResponse:
            if not self._befalls(request):
                return await handler(request)
            status, body = KINDS[self.kind]
            return web.Response(status=status, body=body)

        return maintained

    def _befalls(self, request: web.Request) -> bool:
        if self.world is None:
            return False
        self.requests += 1
        now = self.world.clock.now_s
        if self.requests == REQUESTS_BEFORE:
            self.began = now
        under_way = self.began is not None and now < self.began + self.seconds
        return under_way and (self.victim is None or request.query.get("recipient") == self.victim)


def small_clinic() -> Clinic:
    return make_clinic(messages=60, practitioners=5, patients=8, seed=1)


async def a_night_with(maintenance: Maintenance, warehouse_url: str) -> tuple[Outcome, list[str]]:
    """Run a sync; return its outcome, and where the mirror differs from the source then."""
    async with open_world(warehouse_url, small_clinic(), middlewares=[maintenance.middleware()]) as world:
        maintenance.world = world
        result = await world.sync()
        assert maintenance.began is not None
        return result.outcome, await world.differences()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_minute_of_it_costs_time_and_no_message(kind: str, warehouse_url: str) -> None:
    """However the source says that it is not there for the moment, the night waits for it and ends complete."""
    assert await a_night_with(Maintenance(kind, 60), warehouse_url) == (Outcome.COMPLETE, [])


@pytest.mark.parametrize("kind", ["a 500", "a maintenance page", "an OperationOutcome", "a firewall"])
async def test_taken_for_answers_it_costs_searches(kind: str, warehouse_url: str) -> None:
    """Sabotage: pages are blamed for what the source as a whole says."""
    with whatever_is_said_is_an_answer():
        outcome, differences = await a_night_with(Maintenance(kind, 60), warehouse_url)
    assert outcome is Outcome.INCOMPLETE
    assert differences


@contextmanager
def a_web_page_is_final() -> Iterator[None]:
    """Sabotage: what something else says in the source's place is taken for its own refusal."""

    def final(status: int, said: Said, **named: Any) -> Means:
        means = judge(status, said, **named)
        return Means.FINAL if means is Means.AWAY and status >= 400 else means

    with patch("worker.extract.answers.judge", final):
        yield


@pytest.mark.parametrize("kind", ["a firewall", "an empty 403", "an ingress"])
async def test_taken_for_refusals_it_costs_searches(kind: str, warehouse_url: str) -> None:
    """Sabotage: the source is blamed for what stands in front of it."""
    with a_web_page_is_final():
        outcome, differences = await a_night_with(Maintenance(kind, 60), warehouse_url)
    assert outcome is Outcome.INCOMPLETE
    assert differences


@pytest.mark.parametrize("kind", KINDS)
async def test_longer_than_the_patience(kind: str, warehouse_url: str) -> None:
    """The run ends as with a source that is away, so that it is retried, and is resumed afterwards."""
    maintenance = Maintenance(kind, 400)
    async with open_world(warehouse_url, small_clinic(), middlewares=[maintenance.middleware()]) as world:
        maintenance.world = world
        with pytest.raises(SourceAway) as away:
            await world.sync()
        assert away.value.exit_code == EXIT_SOURCE
        world.clock.now_s += 400
        result = await world.sync()
        assert (result.outcome, result.resumed) == (Outcome.COMPLETE, True)
        assert await world.differences() == []


@pytest.mark.parametrize("kind", ["a 500", "a maintenance page", "an OperationOutcome", "a firewall", "an empty 403"])
async def test_one_search_that_always_fails(kind: str, warehouse_url: str) -> None:
    """While the source answers others, that search alone is not accepted, and nobody waits for the patience to end."""
    victim = list(small_clinic().practitioners.values())[-1].reference
    maintenance = Maintenance(kind, 10_000, victim)
    async with open_world(warehouse_url, small_clinic(), middlewares=[maintenance.middleware()]) as world:
        maintenance.world = world
        result = await world.sync()
        failed = await world.database.fetch("SELECT parameter, value FROM canvas_ops.search WHERE status <> 'accepted'")
        assert result.outcome is Outcome.INCOMPLETE
        assert [tuple(row) for row in failed] == [("recipient", victim)]
        assert world.clock.now_s < 1000 + 60
