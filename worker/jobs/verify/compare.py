"""Compares what a verification saw with the mirror: asks for every difference by id, judges it, and counts it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from worker.defects import guarded
from worker.jobs.run import deletions
from worker.jobs.run.ask import Answer, ask, knows_one_of
from worker.jobs.run.together import together
from worker.jobs.verify.differences import NOT_ANSWERED, SIGHTINGS_LOST, Verdict, doubt, judge
from worker.load import missing, sightings

if TYPE_CHECKING:
    from worker.jobs.run.workplace import Workplace
    from worker.jobs.verify.sweep import Sweep

AT_ONCE = 200
IDS_SHOWN_MAX = 1000


@dataclass(slots=True)
class Found:
    """The result of the comparison. `ids` holds the first thousand message ids of each kind of difference.

    `denied` counts the ids that the source said it does not have: those `gone`, and differences.
    """

    differences: dict[str, int] = field(default_factory=dict)
    ids: dict[str, list[str]] = field(default_factory=dict)
    moved: int = 0
    gone: int = 0
    held: int = 0
    denied: int = 0
    unknown: int = 0


async def compare(
    workplace: Workplace, sweep: Sweep, *, synced: int | None, began_at: datetime
) -> tuple[Found, str | None]:
    """Judge every difference between the last pass and the mirror. Return them, and why they prove nothing, or None.

    `synced` is the verification's own sync, None if there was none or if it resumed an older one. `began_at` is when
    the verification began. Asking ends as soon as the source denies more than is believed.
    """
    warehouse, found, after = workplace.warehouse, Found(), ""
    live = await warehouse.work(missing.count_live, warehouse)
    while found.denied <= deletions.deletions_max(live):
        await workplace.hold(sweep.run_id)
        some = await warehouse.work(
            sightings.read_differences, warehouse, sweep.run_id, sweep.passes, synced, after, AT_ONCE
        )
        # Checked after the read: the table only shrinks, so if it is whole now, it was whole then.
        if not await sweep.is_whole():
            return found, SIGHTINGS_LOST
        if not some:
            break
        after = some[-1].key
        answers = await together(_ask(workplace, difference) for difference in some)
        now = datetime.now(UTC)
        judged = []
        for difference, answer in zip(some, answers, strict=True):
            verdict = partial(judge, difference, answer, began_at=began_at, now=now)
            judged.append((difference, guarded(verdict, lambda: Verdict.UNKNOWN)))
        denials = zip(answers, judged, strict=True)
        found.denied += sum(answer.known is False and verdict is not Verdict.HELD for answer, (_, verdict) in denials)
        _count(found, judged)
        await _leave(workplace, sweep.run_id, judged)
    # Denials are believed only if the source knows by id what it has just shown.
    shown = await warehouse.work(sightings.pick_shown, warehouse, sweep.run_id, sweep.passes) if found.denied else []
    knows_ids = found.denied == 0 or await knows_one_of(workplace.source, shown)
    reason = doubt(denied=found.denied, live=live, source_knows_ids=knows_ids)
    return found, reason or (NOT_ANSWERED if found.unknown else None)


def _count(found: Found, judged: list[tuple[sightings.Difference, Verdict]]) -> None:
    verdicts = [verdict for _, verdict in judged]
    found.moved += verdicts.count(Verdict.MOVED)
    found.gone += verdicts.count(Verdict.GONE)
    found.held += verdicts.count(Verdict.HELD)
    found.unknown += verdicts.count(Verdict.UNKNOWN)
    for difference in (difference for difference, verdict in judged if verdict is Verdict.DIFFERENCE):
        found.differences[difference.kind] = found.differences.get(difference.kind, 0) + 1
        ids = found.ids.setdefault(difference.kind, [])
        if difference.message_id is not None and len(ids) < IDS_SHOWN_MAX:
            ids.append(difference.message_id)


async def _leave(workplace: Workplace, run_id: int, judged: list[tuple[sightings.Difference, Verdict]]) -> None:
    """Note for the next sync and the next replay what they would otherwise skip."""
    warehouse = workplace.warehouse
    lost = [
        difference
        for difference, verdict in judged
        if difference.kind == "missing" or (difference.kind != "extra" and verdict is Verdict.DIFFERENCE)
    ]
    wanted = [one for one in lost if one.kind != "altered"]
    await warehouse.work(
        sightings.leave_for_sync,
        warehouse,
        run_id,
        [one.message_id for one in wanted if one.message_id is not None],
        [one.practitioner_id for one in wanted if one.practitioner_id is not None],
    )
    altered = [one.message_id for one in lost if one.kind == "altered" and one.message_id is not None]
    await warehouse.work(sightings.leave_for_replay, warehouse, run_id, altered)


async def _ask(workplace: Workplace, difference: sightings.Difference) -> Answer:
    if difference.message_id is None or difference.kind == "altered":
        return Answer(None)
    return await ask(workplace.source, difference.message_id, workplace.settings.ignored)
