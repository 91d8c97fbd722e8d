"""The jobs that write messages: what a reader may see of them on the way, and what must have come of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar
from uuid import UUID

from tests.faults.consistency import Chain, Row, View, look, torn
from tests.faults.cut_jobs import locks_held
from tests.faults.worlds import differences
from tests.integration.mirroring import mirror_settings
from worker.jobs import migrate
from worker.jobs.run import mirror
from worker.load import worklist
from worker.load.postgres.database import Warehouse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    import asyncpg

    from worker.records import Communication
    from worker.sandbox.population import Resource
    from worker.settings import Settings
    from worker.transform.message import Rules

OTHERS_TOKENS = [UUID(int=number) for number in range(1, 100)]


@dataclass(slots=True)
class MessagesJob:
    """A job that writes messages.

    `earlier` are the steps, each given the DSN, that lead to the state in which it begins. `served` is what the source
    has by then, `learnt` the versions that the job learns, in their order, and `gone` the ids that it finds gone.
    `shown` says which ids each search shows.
    """

    OUTCOMES: ClassVar = frozenset({"complete"})

    name: str
    source_url: str
    earlier: Sequence[Callable[[str], Awaitable[object]]]
    work: Callable[[Settings], Awaitable[object]]
    served: Sequence[Resource]
    learnt: Sequence[Communication]
    rules: Sequence[Rules]
    gone: frozenset[str] = frozenset()
    shown: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    step: int = 1
    recovers: bool = True
    before: View | None = None
    expected: dict[str, Chain] = field(default_factory=dict)

    async def prepare(self, dsn: str) -> None:
        await migrate.upgrade(mirror_settings(self.source_url, dsn))
        for step in self.earlier:
            await step(dsn)

    async def begin(self, database: asyncpg.Connection) -> None:
        self.before = await look(database)
        self.expected = chains_after(self.before.chains(), self.learnt, self.gone)

    async def run(self, settings: Settings) -> object:
        return await self.work(settings)

    async def meanwhile(self, database: asyncpg.Connection) -> None:
        """Nothing: no other process takes part."""

    async def halves(self, database: asyncpg.Connection) -> list[str]:
        view = await look(database)
        found = torn(view, self.rules)
        arrived = self._arrived(view)
        chains, before = view.chains(), self._before.chains()
        for message_id in chains.keys() | self.expected.keys():
            due = self.expected.get(message_id) if message_id in arrived else before.get(message_id)
            if chains.get(message_id) != due:
                state = "has not arrived with the rest" if message_id in arrived else "is there before its time"
                found.append(f"{message_id}: {state}")
        return found + self._rules_mixed(view)

    def _arrived(self, view: View) -> set[str]:
        """Which messages must be as expected by now, since the ledger says so; all others must be as before."""
        accepted = [one for one in self._later(view.searches) if one["status"] == "accepted"]
        arrived = {one for search in accepted for one in self.shown.get((search["parameter"], search["value"]), ())}
        closed = any(run["outcome"] for run in self._later(view.runs))
        return arrived | (self.gone if closed else frozenset())

    def _rules_mixed(self, _view: View) -> list[str]:
        return []

    async def amiss(self, database: asyncpg.Connection, results: list[object], ran: int) -> list[str]:
        view = await look(database)
        found = torn(view, self.rules) + await differences(database, self.served)
        chains = view.chains()
        found += [
            f"{message_id}: its versions are not those that the source had"
            for message_id in chains.keys() | self.expected.keys()
            if chains.get(message_id) != self.expected.get(message_id)
        ]
        return found + self._ledger_amiss(view, results, ran) + await locks_held(database)

    def _ledger_amiss(self, view: View, results: list[object], ran: int) -> list[str]:
        runs, searches = self._later(view.runs), self._later(view.searches)
        before = self._before.chains()
        new = len(self.expected.keys() - before.keys())
        grown = sum(len(chain) for chain in self.expected.values()) - sum(len(chain) for chain in before.values())
        changed = grown - new - len(self.gone)
        found = [f"run {run['id']} was left {run['outcome']}" for run in runs if run["outcome"] not in self.OUTCOMES]
        if len(runs) > ran or (len(results) == ran and len(runs) != ran):
            found.append(f"{len(runs)} runs in the ledger, not {ran}")
        for what, due in (("new", new), ("changed", changed)):
            counted = sum(search[what] for search in searches)
            if counted != due:
                found.append(f"the ledger counts {counted} as {what}, not {due}")
        deleted = sum(run["deleted"] or 0 for run in runs)
        if deleted != len(self.gone):
            found.append(f"the ledger counts {deleted} as deleted, not {len(self.gone)}")
        return found + [line for result in results for line in _told_otherwise(result, runs)]

    @property
    def _before(self) -> View:
        assert self.before is not None
        return self.before

    def _later(self, rows: list[Row]) -> list[Row]:
        """Return the runs, or the searches of runs, that began after the state in which the job begins."""
        last = max((run["id"] for run in self._before.runs), default=0)
        return [row for row in rows if (row["run_id"] if "run_id" in row else row["id"]) > last]


class ReplayJob(MessagesJob):
    """Replay has no searches: what it lets out of quarantine arrives when the entries are closed there."""

    def _arrived(self, view: View) -> set[str]:
        return {one.id for one in self.learnt if one.raw_hash not in view.open_quarantine}

    def _rules_mixed(self, view: View) -> list[str]:
        past = [row for rows in view.history.values() for row in rows]
        return [
            f"half of {what} is derived by other rules"
            for what, rows in (("the present", view.messages.values()), ("the past", past))
            if len({row["_rules_version"] for row in rows}) > 1
        ]

    def _ledger_amiss(self, view: View, results: list[object], ran: int) -> list[str]:
        runs = self._later(view.runs)
        found = [f"run {run['id']} was left open" for run in runs if run["outcome"] is None]
        if len(runs) > ran or (len(results) == ran and {run["outcome"] for run in runs} != {"complete"}):
            found.append(f"{len(runs)} runs in the ledger, {[run['outcome'] for run in runs]}")
        return found


class TakeoverJob(MessagesJob):
    """At the cut another worker of the run finds its leases expired, and claims its searches."""

    OUTCOMES = frozenset({"complete", "incomplete"})

    async def meanwhile(self, database: asyncpg.Connection) -> None:
        warehouse = Warehouse("postgresql:///nowhere", "canvas", timedelta(), 1)  # only for its statements
        await database.execute(
            "UPDATE canvas_ops.search SET leased_until = now() - interval '1 s' WHERE status = 'walking'"
        )
        tokens = iter(OTHERS_TOKENS)
        for run in [run for run in self._later((await look(database)).runs) if run["outcome"] is None]:
            while await worklist.claim_search(database, warehouse, run["id"], next(tokens), timedelta(hours=1)):
                pass

    async def halves(self, database: asyncpg.Connection) -> list[str]:
        return await super().halves(database) + [
            f"search {one['id']}: finished by a worker whose lease had passed to another"
            for one in (await look(database)).searches
            if one["lease_token"] in OTHERS_TOKENS and one["status"] != "walking"
        ]


def chains_after(before: Mapping[str, Chain], learnt: Iterable[Communication], gone: Iterable[str]) -> dict[str, Chain]:
    """Return every message's versions once these have been learnt, in this order, and those are known to be gone."""
    chains = dict(before)
    for one in learnt:
        chain = chains.get(one.id, ())
        if chain[-1:] != ((one.content_hash, False),):
            chains[one.id] = (*chain, (one.content_hash, False))
    for message_id in gone:
        chains[message_id] = (*chains[message_id], (chains[message_id][-1][0], True))
    return chains


def _told_otherwise(result: object, runs: list[Row]) -> list[str]:
    if not isinstance(result, mirror.RunResult):
        return []
    row = next((run for run in runs if run["id"] == result.run_id), None)
    told = (result.outcome.value, result.sums.new, result.sums.changed, result.deleted)
    kept = row and (row["outcome"], row["new"], row["changed"], row["deleted"])
    return [] if told == kept else [f"run {result.run_id} told {told}, its row says {kept}"]
