"""Finds deletions that look as if the client's scope had shrunk, so that they are held instead of marked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.jobs.run import deletions
from worker.jobs.run.ask import lists_patient
from worker.jobs.run.together import together
from worker.load import missing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.jobs.run.workplace import Workplace

AT_ONCE = 200


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
