"""One job of the state machine, and what befalls it: drift at requests, an end at a request or a unit of work."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, get_args
from unittest.mock import patch

from aiohttp import web

from worker.errors import MirrorError
from worker.load.postgres import lock
from worker.load.postgres.database import Warehouse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator

    import asyncpg
    from aiohttp.typedefs import Handler, Middleware

    from tests.faults.model import Change, Source
    from worker.load.postgres.database import Connection

Place = Literal["request", "before", "inside", "after"]
Manner = Literal["cancelled", "killed", "cut", "asleep"]
PLACES: tuple[Place, ...] = get_args(Place)
MANNERS: tuple[Manner, ...] = get_args(Manner)

# Inherited by the tasks that a job starts.
_TRIAL: ContextVar[Trial | None] = ContextVar("trial", default=None)

TERMINATE = (
    "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)


@dataclass(frozen=True, slots=True)
class Blow:
    """What ends a job or its connections, at the `at`-th request or unit of work, or at the first unit of that name.

    `place` of a unit: before it, after its statements but before the commit, or after the commit. `cancelled` cleans up
    after itself; `killed` first has its connections ended, as the server sees a SIGKILL; `cut` only has them ended;
    `asleep` has them ended and does not notice until it is woken, as a host that was suspended.
    """

    at: int | str
    place: Place
    manner: Manner


@dataclass(slots=True)
class Trial:
    """A job under way. `changes` happen before the request with that number is answered; `happened` says what did."""

    database: asyncpg.Connection
    sleeper: Sleeper | None = None
    changes: dict[int, Change] = field(default_factory=dict)
    blow: Blow | None = None
    wake_at: int | None = None
    requests: int = 0
    units: int = 0
    happened: list[str] = field(default_factory=list)
    task: asyncio.Task[Any] | None = None
    ending: asyncio.Task[None] | None = None
    fell_asleep: asyncio.Event = field(default_factory=asyncio.Event)
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_asleep(self) -> bool:
        """Whether the job sleeps, and waits to be woken."""
        return self.task is not None and not self.task.done()

    def came_of(self) -> object:
        """Return the result of a job that reached its end; None if it was ended, or gave up for a reason it told.

        Raises what is no MirrorError: a defect.
        """
        assert self.task is not None
        error = None if self.task.cancelled() else self.task.exception()
        if error is not None and not isinstance(error, MirrorError):
            raise error
        return None if self.task.cancelled() or error is not None else self.task.result()

    async def befall(self, source: Source) -> None:
        """Let happen what is to happen at this request."""
        self.requests += 1
        if (change := self.changes.get(self.requests)) is not None:
            source.apply(change)
            self.happened.append("drift")
        if self.sleeper is not None and self.requests == self.wake_at:
            self.happened.append("wake")
            await self.sleeper.wake()

    async def _end_connections(self) -> None:
        """End them, and of a job that sleeps also those that were being opened."""
        while await self.database.fetchval(TERMINATE) and self.fell_asleep.is_set():  # noqa: ASYNC110 - see below
            await asyncio.sleep(0.01)  # what is being opened has no event to wait for

    async def sleep(self) -> None:
        """Wait, if the job sleeps: all of it does, whatever its other tasks were about to do."""
        if self.fell_asleep.is_set():
            await self.woken.wait()

    async def strike(self, place: Place, *here: int | str) -> None:
        """End what is to end here, if it is here."""
        blow = self.blow
        if blow is None or blow.place != place or blow.at not in here or blow.manner in self.happened:
            return
        self.happened.append(blow.manner)
        if blow.manner == "asleep":
            self.fell_asleep.set()
        if blow.manner != "cancelled":
            # Not this task's own: the job may end it meanwhile, and with it the query.
            self.ending = asyncio.create_task(self._end_connections())
            await asyncio.shield(self.ending)
        if blow.manner == "asleep":
            await self.sleep()
        elif blow.manner != "cut":
            assert self.task is not None
            self.task.cancel()
            if place != "request":
                await asyncio.Event().wait()


@dataclass(frozen=True, slots=True)
class Sleeper:
    """A job that sleeps and does not know that its connections are gone."""

    trial: Trial

    async def wake(self) -> None:
        """Let it go on to its end, whatever that is."""
        self.trial.woken.set()
        assert self.trial.task is not None
        await asyncio.wait({self.trial.task})

    async def kill(self) -> None:
        """End it for good."""
        assert self.trial.task is not None
        self.trial.task.cancel()
        await asyncio.wait({self.trial.task})
        self.trial.woken.set()


class Theatre:
    """Where trials take place: a middleware of the source and a wrapper around units of work tell them what happens."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.trial: Trial | None = None

    @property
    def middleware(self) -> Middleware:
        """The middleware for `SandboxServer`."""

        @web.middleware
        async def befall(request: web.Request, handler: Handler) -> web.StreamResponse:
            trial = self.trial
            if trial is None:
                return await handler(request)
            await trial.befall(self.source)
            count = trial.requests
            answer = await handler(request)
            await trial.strike("request", count)
            return answer

        return befall

    async def perform(self, trial: Trial, job: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Run a job until it ends or falls asleep; `trial.task` holds what came of it."""
        self.trial = trial
        trial.task = asyncio.create_task(_in_trial(trial, job))
        asleep = asyncio.create_task(trial.fell_asleep.wait())
        await asyncio.wait({trial.task, asleep}, return_when=asyncio.FIRST_COMPLETED)
        asleep.cancel()
        await asyncio.wait({asleep, trial.ending} if trial.ending else {asleep})
        self.trial = None


async def _in_trial(trial: Trial, job: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    _TRIAL.set(trial)
    return await job()


@contextmanager
def units_struck() -> Iterator[None]:
    """Let the trial that a unit of work belongs to strike at it."""
    work, retried = Warehouse.work, Warehouse._retried

    async def struck(self: Warehouse, unit: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
        trial = _TRIAL.get()
        if trial is None:
            return await work(self, unit, *args, **kwargs)
        trial.units += 1
        here = (trial.units, unit.__name__)

        async def struck_unit(connection: Connection, *args: Any, **kwargs: Any) -> Any:
            result = await unit(connection, *args, **kwargs)
            await trial.strike("inside", *here)
            return result

        await trial.strike("before", *here)
        result = await work(self, struck_unit, *args, **kwargs)
        await trial.strike("after", *here)
        return result

    async def awake(self: Warehouse, patience_s: float, attempt: Callable[[], Awaitable[Any]]) -> Any:
        trial = _TRIAL.get()

        async def unless_asleep() -> Any:
            if trial is not None:
                await trial.sleep()
            return await attempt()

        return await retried(self, patience_s, unless_asleep)

    def host() -> str:
        return f"host-{id(_TRIAL.get())}"

    with (
        patch.object(Warehouse, "work", struck),
        patch.object(Warehouse, "_retried", awake),
        # Whoever sleeps is another host than whoever works meanwhile.
        patch.object(lock, "socket", SimpleNamespace(gethostname=host)),
    ):
        yield
