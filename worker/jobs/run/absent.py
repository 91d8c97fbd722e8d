"""Asks by id for messages that a run should have been shown and was not, and walks searches again that hid some.

Deletions that look as if the client's scope had shrunk are held instead of marked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.jobs.run import deletions, plan
from worker.jobs.run.ask import knows_one_of, lists_patient
from worker.jobs.run.claims import walk_all
from worker.jobs.run.together import together
from worker.load import ledger, missing, worklist

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.jobs.run.walk import Walker
    from worker.jobs.run.workplace import Workplace

AT_ONCE = 200
"""How many patients are asked for at once."""


async def look_for_missing(
    workplace: Workplace, run_id: int, walker: Walker, *, accept_deletions: bool
) -> tuple[deletions.Deletions, list[str]]:
    """Ask by id for what the run should have been shown and was not. Return the verdict, and the ids that are gone.

    Asking ends as soon as more are gone than a run may mark, because then none is marked.
    """
    warehouse, selection = workplace.warehouse, walker.selection
    if selection.windowed or selection.quick:
        return deletions.Deletions.NONE_FOUND, []
    ids = await warehouse.work(missing.find_missing, warehouse, run_id)
    live = await warehouse.work(missing.count_live, warehouse) if ids else 0
    if ids:
        await workplace.lock.work(worklist.ask_for, warehouse, run_id, ids)
        # What a verification asked for, and the source no longer has, has no row that could be marked.
        walker.gone.intersection_update(ids)
        walker.progress.searches += len(ids)
        await walk_all(workplace, run_id, walker, gone_max=None if accept_deletions else deletions.deletions_max(live))
        await workplace.lock.work(worklist.give_up, warehouse, run_id, plan.TOO_MANY_MISSING)
        await _walk_what_hid_some(workplace, run_id, walker)
        # A message that was shown meanwhile is not gone, even if the source denied its id before.
        ids = await warehouse.work(missing.find_missing, warehouse, run_id)
    gone = await warehouse.work(missing.find_gone, warehouse, run_id, ids)
    sums = await warehouse.work(ledger.sum_run, warehouse, run_id)
    shown = await warehouse.work(missing.pick_shown, warehouse, run_id) if gone else []
    verdict = deletions.decide(
        gone=len(gone),
        live=live,
        scope=selection.scope,
        all_accepted=sums.accepted == sums.searches,
        source_knows_ids=not gone or await knows_one_of(workplace.source, shown),
        accepted_by_operator=accept_deletions,
    )
    return verdict, gone


async def _walk_what_hid_some(workplace: Workplace, run_id: int, walker: Walker) -> None:
    """Walk searches again that did not show what the source has by id. If they still hide it, they are not accepted.

    A search that hides a known message may hide a new one, too.
    """
    warehouse = workplace.warehouse
    hiding = await warehouse.work(missing.find_hiding, warehouse, run_id)
    if hiding:
        await workplace.lock.work(worklist.walk_again, warehouse, hiding)
        walker.progress.searches += len(hiding)
        await walk_all(workplace, run_id, walker)
        hiding = await warehouse.work(missing.find_hiding, warehouse, run_id)
        await workplace.lock.work(worklist.take_back, warehouse, hiding, plan.HIDES_MESSAGES)


async def implausible(workplace: Workplace, run_id: int, gone: Sequence[str]) -> list[str]:
    """Return which of these live ids, all of them gone at the source, must not be marked as deleted.

    These are those that `deletions.all_of_somebody` names, and those of a patient whom the source does not list. Only
    the patients concerned are asked for. Raises what `lists_patient` raises.
    """
    warehouse = workplace.warehouse
    rows = await warehouse.work(missing.read_gone, warehouse, gone)
    held = deletions.all_of_somebody(rows)
    patients = sorted({one.patient_id for one in rows if one.patient_id is not None and one.id not in held})
    unlisted = await _not_listed(workplace, run_id, patients)
    return sorted(held | {one.id for one in rows if one.patient_id in unlisted})


async def _not_listed(workplace: Workplace, run_id: int, patients: Sequence[str]) -> frozenset[str]:
    """Return whom the source does not list, asked twice; nobody if it does not even list patients it has just shown."""
    denied = await _denied(workplace, run_id, patients)
    if not denied:
        return frozenset()
    warehouse = workplace.warehouse
    witnesses = await warehouse.work(missing.pick_patients, warehouse, run_id, patients)
    listed = [await lists_patient(workplace.source, witness) for witness in witnesses]
    if witnesses and True not in listed:
        return frozenset()
    return frozenset(await _denied(workplace, run_id, denied))


async def _denied(workplace: Workplace, run_id: int, patients: Sequence[str]) -> list[str]:
    denied: list[str] = []
    for start in range(0, len(patients), AT_ONCE):
        await workplace.hold(run_id)
        some = patients[start : start + AT_ONCE]
        listed = await together(lists_patient(workplace.source, patient) for patient in some)
        denied += [patient for patient, is_listed in zip(some, listed, strict=True) if is_listed is False]
    return denied
