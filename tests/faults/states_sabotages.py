"""Mistakes that the state machine finds: each one decision of the mirror taken wrongly, and steps that show it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast
from unittest.mock import patch

from tests.faults.model import Change
from tests.faults.states_incidents import Drift, Failure
from tests.faults.states_machine import States
from tests.faults.states_trial import Blow
from worker.jobs.run import acceptance
from worker.jobs.verify import compare
from worker.jobs.verify.differences import Verdict
from worker.load import fingerprints, land, ledger, rederive, worklist
from worker.load.postgres.database import Warehouse
from worker.load.run_lock import RunLock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from tests.faults.states_machine import Stage
    from worker.load.postgres.database import Connection
    from worker.records import Search

_ANSWERED_NOTHING = (
    "UPDATE canvas_ops.search"
    " SET status = 'accepted', walk_started_at = now(), finished_at = now(), total = 0, entries = 0"
    " WHERE run_id = $1 AND status = 'pending'"
)


@contextmanager
def deletes_without_asking() -> Iterator[None]:
    """Take what a run was not shown for gone, without asking for it by `_id`."""
    ask_for = worklist.ask_for

    async def not_asked(connection: Connection, warehouse: Warehouse, run_id: int, ids: Sequence[str]) -> None:
        await ask_for(connection, warehouse, run_id, ids)
        await connection.execute(_ANSWERED_NOTHING, run_id)

    with patch.object(worklist, "ask_for", not_asked):
        yield


@contextmanager
def skips_by_raw_hash_alone() -> Iterator[None]:
    """Skip an entry because its bytes were seen before, whatever its row holds now."""
    read_fingerprint = fingerprints.read_fingerprint

    async def not_joined(connection: Connection, warehouse: Warehouse, search: Search) -> fingerprints.Fingerprint:
        fingerprint = await read_fingerprint(connection, warehouse, search)
        return fingerprints.Fingerprint(fingerprint.stored, fingerprint.stored, fingerprint.total)

    with patch.object(fingerprints, "read_fingerprint", not_joined):
        yield


@contextmanager
def takes_unfinished_for_finished() -> Iterator[None]:
    """When a run is resumed, take its unfinished searches for finished."""

    async def kept(connection: Connection, _warehouse: Warehouse, run_id: int, *_: object) -> None:
        await connection.execute(_ANSWERED_NOTHING, run_id)

    with patch.object(worklist, "reopen_searches", kept):
        yield


def accepts_any_walk() -> AbstractContextManager[object]:
    """Accept a walk whatever `total` says."""
    return patch.object(acceptance, "objection", lambda _tally: None)


def believes_that_all_moved() -> AbstractContextManager[object]:
    """Take every difference that verify finds for something that moved."""
    return patch.object(compare, "judge", lambda *_args, **_kwargs: Verdict.MOVED)


@contextmanager
def lets_sleepers_land() -> Iterator[None]:
    """Leave leases to whoever lost the run lock."""

    async def nothing(_connection: Connection, _warehouse: Warehouse) -> None:
        return None

    with patch.object(ledger, "revoke_leases", nothing):
        yield


@contextmanager
def rewrites_what_was_overtaken() -> Iterator[None]:
    """Let a replay write the parts of what it read, whether it still has the lock and the row that version or not."""

    async def not_looked_at(_lock: RunLock, unit: Any, warehouse: Warehouse, *args: Any, **kwargs: Any) -> Any:
        return await warehouse.work(unit, warehouse, *args, **kwargs)

    with patch.object(RunLock, "work", not_looked_at), patch.object(rederive, "rewrite_current", land.rewrite_parts):
        yield


def forgets_what_was_deleted() -> AbstractContextManager[object]:
    """Keep no history of what is marked as deleted."""
    return _altered("missing/keep_history", lambda sql: f"{sql} AND false")


def forgets_that_it_was_deleted() -> AbstractContextManager[object]:
    """Keep no history when a message comes back."""
    return _altered("land/keep_history", lambda sql: sql.replace("OR m._deleted_at IS NOT NULL", ""))


def trusts_an_old_no() -> AbstractContextManager[object]:
    """When a run is resumed, do not ask again for what had been gone."""
    return _altered("worklist/retry_searches", lambda sql: sql.replace("entries = 0", "false"))


def _altered(name: str, alter: Callable[[str], str]) -> AbstractContextManager[object]:
    sql = Warehouse.sql

    def altered(self: Warehouse, asked: str) -> str:
        text = sql(self, asked)
        return alter(text) if asked == name else text

    return patch.object(Warehouse, "sql", altered)


class Script:
    """A machine whose rules are called by hand, in the words in which a violation is told."""

    def __init__(self, stage: Stage) -> None:
        self.state = cast("Any", type("States", (States,), {"stage": stage}))()

    def __enter__(self) -> Any:
        """Return the machine, to be opened first."""
        return self.state

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.state.teardown()


def handed_over(state: Any) -> None:
    """Hand a message over, during the run, to a practitioner whose search was walked before."""
    state.open(seed=0, concurrency="1", starts=0)
    for which in (0, 0, 1):
        state.create(which=which, how=0)
    state.sync(accept_deletions=False, meets=[])
    for which in range(3):
        drifts = [Drift(6 + number, Change("hand_over", which, (2 + number) % 3)) for number in range(6)]
        state.sync(accept_deletions=False, meets=drifts)


def changed_and_back(state: Any) -> None:
    """Land a change by a patient's search, and take it back at the source."""
    state.open(seed=0, concurrency="1", starts=0)
    state.create(which=0, how=0)
    state.sync(accept_deletions=False, meets=[])
    state.edit(which=0, how=2)
    state.backfill(what=3, which=0, restart=False, meets=[])
    state.revert(which=0)
    state.sync(accept_deletions=False, meets=[])


def killed_and_resumed(state: Any) -> None:
    """Kill a run in the middle, and take it up again."""
    state.open(seed=0, concurrency="1", starts=8)
    state.sync(accept_deletions=False, meets=[Blow(8, "request", "killed")])
    state.sync(accept_deletions=False, meets=[])


def page_lost(state: Any) -> None:
    """Let a page not say that there is another."""
    state.open(seed=0, concurrency="1", starts=0)
    for _ in range(4):
        state.create(which=0, how=0)
    state.sync(accept_deletions=False, meets=[Failure(6, "next_missing", 0)])


def deleted_and_back(state: Any) -> None:
    """Remove a message, and put it back."""
    state.open(seed=0, concurrency="1", starts=4)
    state.sync(accept_deletions=False, meets=[])
    state.delete(which=0)
    state.sync(accept_deletions=False, meets=[])
    state.restore(which=0)
    state.sync(accept_deletions=False, meets=[])


def back_before_the_run_goes_on(state: Any) -> None:
    """Put a message back between a run that was told it is gone, and died, and the run that goes on."""
    state.open(seed=0, concurrency="1", starts=0)
    for _ in range(2):
        state.create(which=0, how=0)
    state.sync(accept_deletions=False, meets=[])
    state.delete(which=0)
    state.sync(accept_deletions=False, meets=[Blow(13, "request", "killed")])
    state.restore(which=0)
    state.sync(accept_deletions=False, meets=[])


def gone_before_the_run_goes_on(state: Any) -> None:
    """Remove messages whose search is finished, and let a verification go on with that run."""
    state.open(seed=0, concurrency="1", starts=4)
    state.sync(accept_deletions=False, meets=[Blow(11, "request", "killed")])
    state.delete(which=0)
    state.delete(which=0)
    state.verify(sync_first=True, meets=[])


def message_of_a_stranger(state: Any) -> None:
    """Send a message to a practitioner whom no list names."""
    state.open(seed=0, concurrency="1", starts=2)
    state.create(which=0, how=120)
    state.verify(sync_first=True, meets=[])


def slept_through_a_change(state: Any) -> None:
    """Let a worker sleep over a page while another run lands what changed since, and wake it."""
    state.open(seed=0, concurrency="1", starts=0)
    state.create(which=0, how=0)
    state.backfill(what=2, which=0, restart=False, meets=[Blow(4, "request", "asleep")])
    state.edit(which=0, how=2)
    state.sync(accept_deletions=False, meets=[])
    state.wake()


def slept_through_a_new_version(state: Any) -> None:
    """Let a replay sleep between what it reads and what it writes while a run lands what changed since, and wake it."""
    state.open(seed=0, concurrency="1", starts=0)
    state.create(which=0, how=2)
    state.sync(accept_deletions=False, meets=[])
    state.replay(cutoff="2020-01-01T00:00:00Z", meets=[Blow("read_current", "after", "asleep")])
    state.edit(which=0, how=8)
    state.sync(accept_deletions=False, meets=[])
    state.wake()


SABOTAGES: Mapping[str, tuple[Callable[[], AbstractContextManager[object]], Callable[[Any], None]]] = {
    "deletes without asking by _id": (deletes_without_asking, handed_over),
    "skips by raw hash alone": (skips_by_raw_hash_alone, changed_and_back),
    "takes unfinished searches for finished": (takes_unfinished_for_finished, killed_and_resumed),
    "accepts any walk": (accepts_any_walk, page_lost),
    "believes that all moved": (believes_that_all_moved, message_of_a_stranger),
    "lets sleepers land": (lets_sleepers_land, slept_through_a_change),
    "rewrites what was overtaken": (rewrites_what_was_overtaken, slept_through_a_new_version),
    "forgets what was deleted": (forgets_what_was_deleted, deleted_and_back),
    "forgets that it was deleted": (forgets_that_it_was_deleted, deleted_and_back),
    "trusts an old no": (trusts_an_old_no, back_before_the_run_goes_on),
}
SCRIPTS: tuple[Callable[[Any], None], ...] = (
    handed_over,
    changed_and_back,
    killed_and_resumed,
    page_lost,
    deleted_and_back,
    back_before_the_run_goes_on,
    gone_before_the_run_goes_on,
    message_of_a_stranger,
    slept_through_a_change,
    slept_through_a_new_version,
)
