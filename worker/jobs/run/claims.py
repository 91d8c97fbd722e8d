"""The work list of a run: claims its searches, walks several at once, and renews their leases meanwhile."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from worker.errors import LeaseLost
from worker.jobs.run.together import first_failure
from worker.load import ledger, worklist
from worker.telemetry import get_logger

if TYPE_CHECKING:
    from worker.jobs.run.walk import Walker
    from worker.jobs.run.workplace import Workplace
    from worker.load.postgres.database import Warehouse

LEASE_MIN = timedelta(minutes=10)
RENEWALS = 4
"""How often a lease is renewed while it lasts."""
NOTE_EVERY_S = 5.0


async def walk_all(workplace: Workplace, run_id: int, walker: Walker, gone_max: int | None = None) -> None:
    """Walk all searches that can be claimed, several at once. The first failure that ends the run stops them all.

    With `gone_max`, nothing more is claimed once the source does not know more than so many by id. If the lock was lost
    meanwhile, the searches that a standby which took over has forgotten are walked again.
    """
    await _walk_claimable(workplace, run_id, walker, gone_max)
    warehouse, lock = workplace.warehouse, workplace.lock
    while lock.was_ever_lost and await lock.work(worklist.walk_forgotten, warehouse, run_id):
        get_logger().warning("the warehouse has forgotten the end of searches; they are walked again")
        await _walk_claimable(workplace, run_id, walker, gone_max)


async def _walk_claimable(workplace: Workplace, run_id: int, walker: Walker, gone_max: int | None) -> None:
    lease = max(LEASE_MIN, 2 * workplace.settings.patience)
    try:
        async with asyncio.TaskGroup() as group:
            keeper = group.create_task(_keep_leases(workplace.warehouse, run_id, walker, lease))
            counter = group.create_task(_note_requests(workplace.warehouse, run_id, walker))
            async with asyncio.TaskGroup() as walks:
                for _ in range(workplace.settings.concurrency):
                    walks.create_task(_walk_some(workplace, run_id, walker, lease, gone_max))
            keeper.cancel()
            counter.cancel()
    except BaseExceptionGroup as failures:
        raise first_failure(failures) from None


async def _keep_leases(warehouse: Warehouse, run_id: int, walker: Walker, lease: timedelta) -> None:
    """Renew the leases of all present walks, until cancelled.

    This is done beside the walks and not in them, because one page may take longer than a lease (back-off, a slow
    source, `MIRROR_RATE`), and a walk of unchanged pages lands nothing. A lost lease stays lost.
    """
    while True:
        await asyncio.sleep(lease.total_seconds() / RENEWALS)
        await warehouse.work(worklist.renew_leases, warehouse, run_id, list(walker.walking), lease)


async def _note_requests(warehouse: Warehouse, run_id: int, walker: Walker) -> None:
    """Store now and then how many requests the run has made, for `status`, until cancelled."""
    while True:
        await asyncio.sleep(NOTE_EVERY_S)
        await warehouse.work(ledger.note_requests, warehouse, run_id, walker.requests)


async def _walk_some(workplace: Workplace, run_id: int, walker: Walker, lease: timedelta, gone_max: int | None) -> None:
    warehouse = workplace.warehouse
    while gone_max is None or len(walker.gone) <= gone_max:
        await workplace.hold(run_id)
        claim = await warehouse.work(worklist.claim_search, warehouse, run_id, uuid4(), lease)
        if claim is None:
            return
        try:
            await walker.walk(claim)
        except LeaseLost:
            get_logger().warning("a lease was lost; the search is walked again", search_id=claim.search_id)
            await warehouse.work(worklist.release, warehouse, claim)
