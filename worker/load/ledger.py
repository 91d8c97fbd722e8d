"""The ledger: runs, from their beginning to their end, and the instance that all of them belong to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.errors import RunLocked, WarehouseWentBack, WrongInstance
from worker.load.missing import hold, tombstone

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    import asyncpg

    from worker.load.postgres.database import Connection, Warehouse


FLOOD_FLOOR, FLOOD_SHARE = 10, 0.01
"""A run that puts more than max(floor, share of its entries) into quarantine floods it: odd records alone are fewer."""


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run that was never closed, for `worker.jobs.run.plan`. `age` is by the warehouse's clock."""

    id: int
    job: str
    selection_key: str
    age: timedelta


@dataclass(frozen=True, slots=True)
class RunSums:
    """The sums of a run's searches. `as_of` is the start of its oldest accepted walk.

    `unseen` counts the changed messages that differ in no column that an analyst sees. `flood` counts open entries of
    earlier floods into quarantine that nobody has accepted. `not_listed` counts the searches, included nowhere else,
    that were refused for practitioners who left the roster.
    """

    searches: int
    accepted: int
    open: int
    as_of: datetime | None
    pages: int
    entries: int
    new: int
    changed: int
    quarantined: int
    outside: int = 0
    unseen: int = 0
    flood: int = 0
    not_listed: int = 0

    @property
    def is_flooded(self) -> bool:
        """Whether this run flooded quarantine, or an earlier flood is still open."""
        return self.flood > 0 or self.quarantined > max(FLOOD_FLOOR, FLOOD_SHARE * self.entries)

    @property
    def unchanged(self) -> int:
        """How many entries the mirror held exactly so. A message that is served twice counts once as new or changed."""
        return max(0, self.entries - self.new - self.changed - self.outside - self.quarantined)


async def bind_instance(connection: Connection, warehouse: Warehouse, instance: str) -> None:
    """Bind the schema to `instance` at its first run. Raises WrongInstance if it belongs to another one."""
    await connection.execute(warehouse.sql("ledger/bind_source"), instance)
    await check_instance(connection, warehouse, instance)


async def check_instance(connection: Connection, warehouse: Warehouse, instance: str) -> None:
    """Raise WrongInstance if the schema belongs to another instance; an unbound one is fine."""
    row = await connection.fetchrow(warehouse.sql("ledger/read_source"))
    if row is not None and row["instance"] != instance:
        raise WrongInstance(
            f"Schema {warehouse.schema} belongs to the instance '{row['instance']}', and not to '{instance}'.",
            safe="Nothing was read from the source and nothing written.",
            next=_for_another_instance(row["instance"], instance),
        )


def _for_another_instance(held: str, instance: str) -> str:
    step = (
        f"Set WAREHOUSE_SCHEMA to another name for this instance; or CANVAS_INSTANCE='{held}' if only the host changed."
    )
    if "loopback" in {held, instance} or any(name.startswith("sandbox-") for name in (held, instance)):
        step += " Every sandbox prints the CANVAS_INSTANCE of its own clinic: export it."
    return step


async def read_open_runs(connection: Connection, warehouse: Warehouse) -> list[OpenRun]:
    """Return the abandoned runs, the newest first. Call it while the run lock is held."""
    return [
        OpenRun(row["id"], row["job"], row["selection_key"], row["age"])
        for row in await connection.fetch(warehouse.sql("ledger/read_open_runs"))
    ]


async def revoke_leases(connection: Connection, warehouse: Warehouse) -> None:
    """Revoke all leases of earlier holders of the run lock, and their right to close a run. Call it with the lock held.

    A worker that was cut off and comes back after this lands nothing and closes nothing.
    """
    await connection.execute(warehouse.sql("ledger/revoke_leases"))
    await connection.execute(warehouse.sql("ledger/unplan_open_runs"))


async def open_run(
    connection: Connection, warehouse: Warehouse, *, job: str, scope: str, selection_key: str, version: str
) -> int:
    """Begin a run and return its number. Runs that ask for the same must be closed before."""
    number: int = await connection.fetchval(warehouse.sql("ledger/open_run"), job, scope, selection_key, version)
    return number


async def refuse_closed(connection: Connection, warehouse: Warehouse, run_id: int) -> None:
    """Raise RunLocked if a run whose lock was lost for a while was closed meanwhile. In the caller's transaction.

    Raises WarehouseWentBack if the run no longer exists.
    """
    run = await _lock_run(connection, warehouse, run_id)
    if not run["is_open"]:
        raise RunLocked(
            "Another process took this run over and closed it, while this one was cut off from the warehouse.",
            safe="What had been landed is kept; this process landed nothing since.",
            next="`message-mirror status` shows how the run ended. The same command begins another.",
        )


async def _lock_run(connection: Connection, warehouse: Warehouse, run_id: int) -> asyncpg.Record:
    run = await connection.fetchrow(warehouse.sql("ledger/lock_run"), run_id)
    if run is None:
        raise WarehouseWentBack
    return run


async def sum_run(connection: Connection, warehouse: Warehouse, run_id: int) -> RunSums:
    """Return the sums of a run's searches so far."""
    return RunSums(
        **dict(await connection.fetchrow(warehouse.sql("ledger/sum_run"), run_id, FLOOD_FLOOR, FLOOD_SHARE) or {})
    )


async def read_requests(connection: Connection, warehouse: Warehouse, run_id: int) -> int:
    """Return how many requests a run has made so far, in all its processes."""
    requests: int = await connection.fetchval(warehouse.sql("ledger/read_requests"), run_id)
    return requests


async def note_requests(connection: Connection, warehouse: Warehouse, run_id: int, requests: int) -> None:
    """Store how many requests a run has made so far, for `status`."""
    await connection.execute(warehouse.sql("ledger/note_requests"), run_id, requests)


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
    held: Sequence[str] | None = None,
    as_of: datetime | None = None,
    planned_at: datetime | None = None,
    reason: str | None = None,
    new: int = 0,
    changed: int = 0,
    requests: int = 0,
) -> tuple[RunSums, int]:
    """Close a run with its outcome; return the sums of its searches, and how many messages it marked as deleted.

    The `gone` messages are marked as deleted in the same transaction. The `held` ones replace what was held before
    (None leaves that as it is). `as_of` replaces the start of the oldest accepted walk. `reason` is why the run is not
    complete, apart from its searches. `new` and `changed` count messages that none of its searches landed. `requests`
    is how many it made in all.

    A closed run stays as it is, whether the answer to this call was lost or another process took the run over, because
    messages that had been gone may be back. Raises RunLocked if the run was not planned at `planned_at` (None: any
    time), because another run has begun meanwhile.
    """
    run = await _lock_run(connection, warehouse, run_id)
    if planned_at is not None and run["planned_at"] != planned_at:
        raise RunLocked(
            "Another run has begun while this one was cut off from the warehouse.",
            safe="What was landed before is kept; this run marked nothing as deleted.",
            next="Run the same command again, when the other run has ended (`message-mirror status` shows it).",
        )
    if not run["is_open"]:
        return await sum_run(connection, warehouse, run_id), run["deleted"] or 0
    deleted = await tombstone(connection, warehouse, run_id, gone) if gone else 0
    if held is not None:
        await hold(connection, warehouse, run_id, held)
    sums = await sum_run(connection, warehouse, run_id)
    await connection.execute(
        warehouse.sql("ledger/close_run"),
        run_id,
        outcome,
        as_of or sums.as_of,
        sums.searches,
        sums.accepted,
        sums.entries,
        sums.new + new,
        sums.changed + changed,
        sums.quarantined,
        deleted,
        reason,
        sums.outside,
        requests,
        None if held is None else len(held),
        sums.unseen,
    )
    return sums, deleted
