"""The ledger: runs, and their searches as a work list that is claimed with leases.

A search is finished in the transaction that lands its last rows, and only by the worker whose token still stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.errors import LeaseLost, RunLocked, WrongInstance
from worker.load.land import Landed, land_messages
from worker.load.marks import Seen, write_mark
from worker.load.missing import tombstone
from worker.load.quarantine import resolve, store_rejected
from worker.records import Message, Rejected, Search

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

    from worker.load.database import Connection, Warehouse


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run that was never closed, as `worker.jobs.plan` weighs it. `age` is by the warehouse's clock."""

    id: int
    job: str
    selection: str
    age: timedelta


@dataclass(frozen=True, slots=True)
class Claim:
    """A search that this worker may walk while its token stands."""

    search_id: int
    run_id: int
    search: Search
    token: UUID
    lease: timedelta


@dataclass(frozen=True, slots=True)
class Finish:
    """How a search ended. `reason` is None if it was accepted; `seen` None if no mark is to be written."""

    accepted: bool
    reason: str | None
    total: int | None
    pages: int
    entries: int
    seen: Mapping[bytes, Seen] | None


@dataclass(frozen=True, slots=True)
class RosterWalk:
    """How the walk of a roster search went."""

    resource: str
    parameter: str
    value: str
    accepted: bool
    reason: str | None
    walks: int
    started_at: datetime
    total: int | None
    pages: int
    entries: int


@dataclass(frozen=True, slots=True)
class Batch:
    """What one landing writes: usable messages and rejected entries."""

    messages: Sequence[Message]
    rejected: Sequence[Rejected]


@dataclass(frozen=True, slots=True)
class RunSums:
    """What the searches of a run come to. `as_of` is the start of its oldest accepted walk."""

    searches: int
    accepted: int
    open: int
    as_of: datetime | None
    pages: int
    entries: int
    inserted: int
    updated: int
    quarantined: int


async def bind_instance(connection: Connection, warehouse: Warehouse, instance: str) -> None:
    """Bind the schema to `instance` at its first run. Raises WrongInstance if it belongs to another one."""
    await connection.execute(warehouse.sql("ledger/bind_source"), instance)
    await check_instance(connection, warehouse, instance)


async def check_instance(connection: Connection, warehouse: Warehouse, instance: str) -> None:
    """Raise WrongInstance if the schema belongs to another instance; an unbound one is fine."""
    row = await connection.fetchrow(warehouse.sql("ledger/read_source"))
    if row is not None and row["instance"] != instance:
        raise WrongInstance(
            f"Schema {warehouse.schema} holds the messages of {row['instance']}, not of {instance}.",
            safe="Nothing was read from the source and nothing written.",
            next="Set WAREHOUSE_SCHEMA to another name for this instance, or CANVAS_INSTANCE if only the host changed.",
        )


async def read_open_runs(connection: Connection, warehouse: Warehouse) -> list[OpenRun]:
    """Return the runs that died, the newest first. To be asked while the run lock is held."""
    return [
        OpenRun(row["id"], row["job"], row["selection"], row["age"])
        for row in await connection.fetch(warehouse.sql("ledger/read_open_runs"))
    ]


async def revoke_leases(connection: Connection, warehouse: Warehouse) -> None:
    """Take every lease from whoever held the run lock before, and the right to close a run. Called with the lock held.

    A worker that was cut off, and comes back after this, lands nothing and closes nothing.
    """
    await connection.execute(warehouse.sql("ledger/revoke_leases"))
    await connection.execute(warehouse.sql("ledger/unplan_open_runs"))


async def open_run(
    connection: Connection, warehouse: Warehouse, *, job: str, scope: str, selection: str, version: str
) -> int:
    """Begin a run and return its number. To be called once those that ask for the same are closed."""
    number: int = await connection.fetchval(warehouse.sql("ledger/open_run"), job, scope, selection, version)
    return number


async def is_open(connection: Connection, warehouse: Warehouse, run_id: int) -> bool:
    """Tell whether a run was not closed yet."""
    run = await connection.fetchrow(warehouse.sql("ledger/lock_run"), run_id)
    return bool(run["is_open"])


async def reopen_searches(connection: Connection, warehouse: Warehouse, run_id: int, within: timedelta) -> None:
    """Make everything claimable again that a died run had not accepted, had been told is gone, or read too long ago.

    Too long ago is what was begun to be read more than `within` ago. The rest stays accepted.
    """
    await connection.execute(warehouse.sql("ledger/take_up_run"), run_id)
    await connection.execute(warehouse.sql("ledger/release_searches"), run_id)
    await connection.execute(warehouse.sql("ledger/retry_searches"), run_id, within)


async def save_roster_search(connection: Connection, warehouse: Warehouse, run_id: int, walked: RosterWalk) -> None:
    """Write down a roster search of this run."""
    await connection.execute(
        warehouse.sql("ledger/save_roster_search"),
        run_id,
        walked.resource,
        walked.parameter,
        walked.value,
        "accepted" if walked.accepted else "not_accepted",
        walked.reason,
        walked.walks,
        walked.started_at,
        walked.total,
        walked.pages,
        walked.entries,
    )


async def plan_searches(
    connection: Connection, warehouse: Warehouse, run_id: int, searches: Sequence[Search]
) -> datetime:
    """Write the work list, in the order in which it is to be claimed. Return when it was whole, for `close_run`."""
    await connection.execute(
        warehouse.sql("ledger/plan_searches"),
        run_id,
        [search.parameter for search in searches],
        [search.value for search in searches],
    )
    planned_at: datetime = await connection.fetchval(warehouse.sql("ledger/mark_planned"), run_id)
    return planned_at


async def claim_search(
    connection: Connection, warehouse: Warehouse, run_id: int, token: UUID, lease: timedelta
) -> Claim | None:
    """Claim the next search, or return None if there is none left to claim.

    Searches that others are claiming are passed over; if only such are left, waits for what becomes of them: a claim
    whose connection was lost is rolled back, and that search must not be forgotten.
    """
    while (row := await connection.fetchrow(warehouse.sql("ledger/claim_search"), run_id, token, lease)) is None:
        if not await connection.fetchval(warehouse.sql("ledger/is_claimable"), run_id):
            return None
        await connection.execute(warehouse.sql("ledger/wait_for_claim"), run_id)
    return Claim(row["id"], run_id, Search(row["parameter"], row["value"]), token, lease)


async def begin_walk(connection: Connection, warehouse: Warehouse, claim: Claim) -> None:
    """Note that the search is walked from its first page now. Raises LeaseLost."""
    row = await connection.fetchrow(warehouse.sql("ledger/begin_walk"), claim.search_id, claim.token, claim.lease)
    if row is None:
        raise LeaseLost("The lease on a search was lost before its walk.")


async def renew_leases(
    connection: Connection, warehouse: Warehouse, run_id: int, tokens: Sequence[UUID], lease: timedelta
) -> None:
    """Let the leases of a run with these tokens last for another `lease`; those that were lost stay so."""
    await connection.execute(warehouse.sql("ledger/renew_leases"), run_id, tokens, lease)


async def land_batch(
    connection: Connection, warehouse: Warehouse, claim: Claim, batch: Batch, finish: Finish | None
) -> Landed:
    """Land a batch of a claimed search, and with the last one its end, all in the caller's transaction.

    Raises LeaseLost, which rolls everything back. A search that is finished already by this very token (the commit
    arrived, its answer did not) is left as it is.
    """
    status = await connection.fetchval(warehouse.sql("ledger/check_lease"), claim.search_id, claim.token)
    if status is None:
        raise LeaseLost("The lease on a search was lost during its walk.")
    if status != "walking":
        return Landed()
    landed = await land_messages(connection, warehouse, batch.messages, run_id=claim.run_id)
    await resolve(connection, warehouse, batch.messages)
    quarantined = await store_rejected(connection, warehouse, batch.rejected, claim.search, run_id=claim.run_id)
    await connection.execute(
        warehouse.sql("ledger/add_landed"), claim.search_id, landed.inserted, landed.updated, quarantined, claim.lease
    )
    if finish is not None:
        if finish.seen is not None:
            await write_mark(
                connection, warehouse, claim.search, finish.seen, total=finish.total or 0, run_id=claim.run_id
            )
        await connection.execute(
            warehouse.sql("ledger/finish_search"),
            claim.search_id,
            "accepted" if finish.accepted else "not_accepted",
            finish.reason,
            finish.total,
            finish.pages,
            finish.entries,
        )
    return landed


async def sum_run(connection: Connection, warehouse: Warehouse, run_id: int) -> RunSums:
    """Return what the searches of a run come to so far."""
    return RunSums(**dict(await connection.fetchrow(warehouse.sql("ledger/sum_run"), run_id) or {}))


async def count_reasons(connection: Connection, warehouse: Warehouse, run_id: int) -> dict[str, int]:
    """Return reason → number of searches of the run that were not accepted for it, the commonest first."""
    rows = await connection.fetch(warehouse.sql("ledger/count_reasons"), run_id)
    return {row["reason"]: row["searches"] for row in rows}


async def close_run(
    connection: Connection,
    warehouse: Warehouse,
    run_id: int,
    outcome: str,
    *,
    gone: Sequence[str] = (),
    as_of: datetime | None = None,
    planned_at: datetime | None = None,
) -> tuple[RunSums, int]:
    """Close a run with its outcome; return the sums of its searches, and how many messages it marked as deleted.

    What the run found `gone` is marked as deleted in the same transaction. `as_of` stands in for the start of the
    oldest accepted walk in the ledger. A run that is closed stays as it is, be it that the answer to this was lost, or
    that another process took the run over: what had been gone then may be back. Raises RunLocked if the run was not
    planned at `planned_at` (None: not looked at): another has begun meanwhile.
    """
    run = await connection.fetchrow(warehouse.sql("ledger/lock_run"), run_id)
    if planned_at is not None and run["planned_at"] != planned_at:
        raise RunLocked(
            "Another run has begun while this one was cut off from the warehouse.",
            safe="What was landed before is kept; this run marked nothing as deleted.",
            next="The same command again, when the other run has ended (`message-mirror status` shows it).",
        )
    if not run["is_open"]:
        return await sum_run(connection, warehouse, run_id), run["deleted"] or 0
    deleted = await tombstone(connection, warehouse, run_id, gone) if gone else 0
    sums = await sum_run(connection, warehouse, run_id)
    await connection.execute(
        warehouse.sql("ledger/close_run"),
        run_id,
        outcome,
        as_of or sums.as_of,
        sums.searches,
        sums.accepted,
        sums.entries,
        sums.inserted,
        sums.updated,
        sums.quarantined,
        deleted,
    )
    return sums, deleted
