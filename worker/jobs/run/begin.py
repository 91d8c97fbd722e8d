"""How a run begins: an abandoned one is resumed, or a new one is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker import __version__
from worker.defects import forget_defects
from worker.jobs.run import plan
from worker.load import ledger, worklist

if TYPE_CHECKING:
    from datetime import timedelta

    from worker.jobs.run.workplace import Workplace
    from worker.load.postgres.database import Warehouse
    from worker.load.run_lock import RunLock


async def begin_or_resume(
    workplace: Workplace, job: str, selection: plan.Selection, within: timedelta | None, *, restart: bool
) -> tuple[int, bool]:
    """Resume the abandoned run that `plan.resumption` chooses, or begin another.

    Return the number of the run, and whether it was resumed. `within` is how old such a run may be; None means any
    age. Raises what `RunLock.work` raises.
    """
    warehouse, lock = workplace.warehouse, workplace.lock
    selection_key = selection.selection_key()
    forget_defects()
    lock.run_id = None
    await lock.work(ledger.revoke_leases, warehouse)
    abandoned = await warehouse.work(ledger.read_open_runs, warehouse)
    decision = plan.resumption(
        abandoned, job=job, selection_key=selection_key, quick=selection.quick, within=within, restart=restart
    )
    for run_id in decision.close:
        await lock.work(ledger.close_run, warehouse, run_id, plan.Outcome.INTERRUPTED.value)
    if decision.resume is not None:
        await lock.work(worklist.reopen_searches, warehouse, decision.resume, workplace.settings.resume_within)
        lock.run_id = decision.resume
        return decision.resume, True
    lock.run_id = await lock.work(
        ledger.open_run, warehouse, job=job, scope=selection.scope, selection_key=selection_key, version=__version__
    )
    return lock.run_id, False


async def begin_anew(warehouse: Warehouse, lock: RunLock, job: str, scope: str) -> int:
    """Close the abandoned runs of `job`, open another one, and return its number. Raises what `RunLock.work` raises.

    It is for jobs that resume nothing: what an abandoned verification read is out of date, and a replay has no work
    list.
    """
    forget_defects()
    lock.run_id = None
    await lock.work(ledger.revoke_leases, warehouse)
    for run in await warehouse.work(ledger.read_open_runs, warehouse):
        if run.job == job:
            await lock.work(ledger.close_run, warehouse, run.id, plan.Outcome.INTERRUPTED.value)
    lock.run_id = await lock.work(
        ledger.open_run, warehouse, job=job, scope=scope, selection_key="", version=__version__
    )
    return lock.run_id
