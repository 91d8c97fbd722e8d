"""The state machine: rules that change the source, and jobs that meet drift, faults and their end on the way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.faults.model import Change, ChangeKind, Source
from tests.faults.script import Faults, Script
from tests.faults.states_checks import look
from tests.faults.states_incidents import (
    LIES,
    Drift,
    Failure,
    Incident,
    Wake,
    incidents,
    numbers,
    places,
    units,
    variants,
)
from tests.faults.states_judge import Done, Job, Judge
from tests.faults.states_trial import Blow, Place, Sleeper, Theatre, Trial
from tests.faults.worlds import World
from tests.integration.mirroring import mirror_settings
from worker.extract.exchange import Bounds
from worker.jobs.run.plan import Selection
from worker.sandbox.sandbox_server import SandboxServer

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine

    import asyncpg

    from tests.faults.proof import ProofResult
    from worker.settings import Settings

T = TypeVar("T")

PAGE_MAX = 3
CUTOFFS = ("", "2020-01-01T00:00:00Z", "2023-01-01T00:00:00Z")


@dataclass(slots=True)
class Stage:
    """What the machines of one process share: an event loop, a database, and the counts."""

    runner: asyncio.Runner
    dsn: str
    database: asyncpg.Connection
    result: ProofResult

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something to its end on the loop that all of them use."""
        return self.runner.run(work)


def step(**strategies: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Any]:
    """Make a rule that is counted and written down: what contradicts the proof is told with the steps that led to it.

    Jobs meet the event loop and the server's processes, so that hypothesis cannot always repeat what it found.
    """

    def decorate(function: Callable[..., None]) -> Any:
        @wraps(function)
        def taken(self: States, **arguments: Any) -> None:
            self.trace.append(f"state.{function.__name__}({', '.join(f'{k}={v!r}' for k, v in arguments.items())})")
            self.stage.result.count("steps")
            try:
                function(self, **arguments)
            except Exception as error:
                steps = "\n      ".join(self.trace)
                self.stage.result.violations.append(f"{type(error).__name__}: {error}\n      {steps}")
                raise

        made: Any = rule(**strategies)(taken)  # type: ignore[call-overload] # mypy takes any name for `target`
        return made

    return decorate


class States(RuleBasedStateMachine):
    """One clinic and its mirror, from the first message to the last check."""

    stage: ClassVar[Stage]

    @initialize(seed=st.integers(0, 3), concurrency=st.sampled_from(["1", "1", "3"]), starts=st.integers(0, 8))
    def open(self, seed: int, concurrency: str, starts: int) -> None:
        self.trace = [f"state.open(seed={seed}, concurrency={concurrency!r}, starts={starts})"]
        self.source = Source(seed)
        self.theatre = Theatre(self.source)
        self.faults = Faults(self.source.clinic, seed=seed, page_max=PAGE_MAX)
        self.server = SandboxServer(self.source.clinic, middlewares=[self.theatre.middleware, self.faults.middleware])
        self.stage.run(self.server.start())
        self.variables = {"MIRROR_CONCURRENCY": concurrency}
        self.world = World(
            self.source.clinic, self.server, self._settings(), self.stage.dsn, self.stage.database, bounds=Bounds()
        )
        self.stage.run(self.world.empty())
        for number in range(starts):
            self.source.apply(Change("create", number, number * 7))
        self.sleeper: Sleeper | None = None
        self.view = self.stage.run(look(self.stage.database))
        self.judge = Judge(self.source, self.stage.result, self.faults.denied)

    def teardown(self) -> None:
        if hasattr(self, "server"):
            if self.sleeper is not None:
                self.stage.run(self.sleeper.kill())
            self.stage.run(self.server.stop())

    def _settings(self) -> Settings:
        return mirror_settings(self.server.url, self.stage.dsn, **self.variables)

    def _count(self, what: str) -> None:
        self.stage.result.count(what)

    # The source

    @step(which=numbers, how=variants)
    def create(self, which: int, how: int) -> None:
        self._change(Change("create", which, how))

    @step(which=numbers, how=variants)
    def edit(self, which: int, how: int) -> None:
        self._change(Change("edit", which, how))

    @step(which=numbers)
    def revert(self, which: int) -> None:
        self._change(Change("revert", which))

    @step(which=numbers, how=variants)
    def dress(self, which: int, how: int) -> None:
        self._change(Change("dress", which, how))

    @step(which=numbers, how=variants)
    def spoil(self, which: int, how: int) -> None:
        self._change(Change("spoil", which, how))

    @step(which=numbers, how=variants)
    def hand_over(self, which: int, how: int) -> None:
        self._change(Change("hand_over", which, how))

    @step(which=numbers)
    def delete(self, which: int) -> None:
        self._change(Change("delete", which))

    @step(which=numbers)
    def restore(self, which: int) -> None:
        self._change(Change("restore", which))

    @step(which=numbers, how=variants)
    def reorder(self, which: int, how: int) -> None:
        self._change(Change("reorder", which, how))

    @step(kind=st.sampled_from(["hire", "retire", "leave"]), which=numbers, how=variants)
    def staff(self, kind: ChangeKind, which: int, how: int) -> None:
        self._change(Change(kind, which, how))

    def _change(self, change: Change) -> None:
        self._count(change.kind)
        self.source.apply(change)

    # The jobs, and what each meets on its way

    @step(meets=incidents, accept_deletions=st.sampled_from([False, False, False, True]))
    def sync(self, meets: list[Incident], accept_deletions: bool) -> None:
        name = "sync --accept-deletions" if accept_deletions else "sync"
        job = Job(name, lambda world: world.sync(accept_deletions=accept_deletions), Selection(), accept_deletions)
        self._perform(job, meets)

    @step(meets=incidents)
    def quick(self, meets: list[Incident]) -> None:
        self._perform(Job("quick", lambda world: world.sync(quick=True), Selection(quick=True)), meets)

    @step(what=st.integers(0, 5), which=numbers, restart=st.booleans(), meets=incidents)
    def backfill(self, what: int, which: int, restart: bool, meets: list[Incident]) -> None:
        selection = self._selection(what, which)
        name = "backfill" if selection.everyone else "backfill of a selection"
        self._perform(Job(name, lambda world: world.backfill(selection, restart=restart), selection), meets)

    @step(sync_first=st.sampled_from([True, True, False]), meets=incidents)
    def verify(self, sync_first: bool, meets: list[Incident]) -> None:
        self._perform(Job("verify", lambda world: world.verify(sync_first=sync_first)), meets)

    @step(cutoff=st.sampled_from(CUTOFFS), meets=incidents)
    def replay(self, cutoff: str, meets: list[Incident]) -> None:
        self.variables["MIRROR_CUTOFF"] = cutoff
        self.world.settings = self._settings()
        self.judge.settled = None
        self._perform(Job("replay", World.replay), meets)

    @step(at=units, place=places)
    def suspend(self, at: int, place: Place) -> None:
        """Let a sync fall asleep; if a job sleeps, wake it."""
        self._count("suspend")
        if self.sleeper is None:
            self._perform(Job("sync", World.sync, Selection()), [Blow(at, place, "asleep")])
        else:
            self.wake()

    def wake(self) -> None:
        """Let the job that sleeps go on to its end."""
        assert self.sleeper is not None
        self._count("wake")
        job, began_at, before, sleeper = self.sleeping, datetime.now(UTC), self.view, self.sleeper
        self.stage.run(sleeper.wake())
        self._expect_rewriting()
        self.sleeper, self.view = None, self.stage.run(look(self.stage.database))
        self._hold(self.judge.of_any(Done(job, began_at, before, self.view, calm=False)))
        self._note_sleeper(sleeper)

    def _expect_rewriting(self) -> None:
        """Let whoever sleeps write rows again though the source stands still, if it is a replay."""
        if self.sleeping.name == "replay":
            self.judge.settled = None

    def _selection(self, what: int, which: int) -> Selection:
        clinic = self.source.clinic
        messages = sorted(self.source.moved) or ["none"]
        practitioners, patients = [*clinic.practitioners], [*clinic.patients]
        return (
            Selection(by_patient=True),
            Selection(by_patient=True),
            Selection(practitioners=(practitioners[which % len(practitioners)],)),
            Selection(patients=(patients[which % len(patients)],)),
            Selection(ids=(messages[which % len(messages)],)),
            Selection(since=datetime(2022, 1, 1, tzinfo=UTC)),
        )[what]

    def _perform(self, job: Job, meets: list[Incident]) -> None:
        self._count(job.name)
        trial, script = self._prepare(meets)
        self.faults.begin(script)
        self.faults.befell.clear()
        before, began_at = self.view, datetime.now(UTC)
        self.stage.run(self.theatre.perform(trial, lambda: job.start(self.world)))
        self.faults.script = Script()
        self.view = self.stage.run(look(self.stage.database))
        faults = {kind for _, kind in self.faults.befell}
        for what in (*trial.happened, *sorted(faults)):
            self._count(f"on the way: {what}")
        if faults & LIES:
            self.judge.lied_at = datetime.now(UTC)
        if "wake" in trial.happened and self.sleeper is not None:
            self._expect_rewriting()
            self._note_sleeper(self.sleeper)
            self.sleeper = None
        done = Done(job, began_at, before, self.view, calm=not trial.happened and not faults)
        self._hold(self.judge.of_any(done))
        if trial.is_asleep:
            self.sleeper, self.sleeping = Sleeper(trial), job
            self.judge.of_ended(done)
            return
        result = trial.came_of()
        self._hold(self.judge.of_ended(done) if result is None else self.judge.of_result(done, result))

    def _prepare(self, meets: list[Incident]) -> tuple[Trial, Script]:
        trial, script = Trial(self.stage.database, self.sleeper), Script()
        for incident in meets:
            match incident:
                case Drift():
                    trial.changes[incident.at] = incident.change
                case Failure():
                    script = incident.script()
                case Wake():
                    trial.wake_at = incident.at
                case Blow():
                    one_sleeps = self.sleeper is not None and incident.manner == "asleep"
                    trial.blow = replace(incident, manner="killed") if one_sleeps else incident
        return trial, script

    def _note_sleeper(self, sleeper: Sleeper) -> None:
        done = Done(self.sleeping, datetime.now(UTC), self.view, self.view, calm=False)
        result = sleeper.trial.came_of()
        if result is None:
            self.judge.of_ended(done)
        else:
            self.judge.note_result(result)

    def _hold(self, complaints: list[str]) -> None:
        assert not complaints, "; ".join(complaints[:5])
