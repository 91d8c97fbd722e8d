"""The judge of the state machine: remembers what complete runs saw, and holds each job to what it says of itself."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tests.faults import states_checks as checks
from tests.faults.model import NEVER
from tests.faults.states_rows import people_of
from worker.jobs.replay import Replayed
from worker.jobs.run import plan
from worker.jobs.run.mirror import RunResult
from worker.jobs.run.plan import Outcome, Selection
from worker.jobs.verify.job import Verification

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from datetime import datetime

    from tests.faults.model import Source
    from tests.faults.proof import ProofResult
    from tests.faults.states_checks import View
    from tests.faults.worlds import World
    from worker.sandbox.messages import Resource

BRAKE = 4
"""How many messages a run may mark as deleted by itself in this small clinic."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job to run. `selection` is None if it is none that mirrors."""

    name: str
    start: Callable[[World], Coroutine[Any, Any, Any]]
    selection: Selection | None = None
    accepts_deletions: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """A job that is over: when it began, the mirror before and after it, and whether nothing was in its way."""

    job: Job
    began_at: datetime
    before: View
    after: View
    calm: bool


@dataclass(slots=True)
class Judge:
    """What is known of one clinic and its mirror. Every method returns complaints.

    `lied_at` is when the source last told a lie that no run can see through, `denied` which ids it hid; `settled` the
    mirror right after a complete run over a quiet source, and the source's count of contents then.
    """

    source: Source
    result: ProofResult
    denied: set[str]
    lied_at: datetime = NEVER
    settled: tuple[int, View] | None = None
    _snapshots: dict[datetime, dict[str, str]] = field(default_factory=dict)
    _full_runs: dict[int, datetime] = field(default_factory=dict)
    _copy: dict[str, datetime] = field(default_factory=dict)
    _copied_to: datetime = NEVER

    def of_any(self, done: Done) -> list[str]:
        """Say what may not be whatever the job was, and however it ended."""
        after = done.after
        complaints = checks.wrong_columns(after) + checks.gaps(after) + checks.forgotten(after, self._snapshots)
        complaints += self._of_copy(after)
        if self.lied_at >= done.began_at:
            # What was hidden may have been marked as deleted, and comes back by the next honest run.
            self.settled = None
            if done.job.accepts_deletions:
                return complaints
        complaints += checks.false_deletions(done.before, after, self.source, done.began_at, self.denied)
        if self.settled is not None and self.settled[0] == self.source.contents:
            complaints += checks.written(self.settled[1], after)
        return complaints

    def of_ended(self, done: Done) -> list[str]:
        """Take note of a job that has no result: it may have closed its run before it died."""
        latest = done.after.freshness["last_complete_run_id"]
        is_full = done.job.selection is None or done.job.selection.scope == "full"
        if latest is not None and is_full:
            self._full_runs.setdefault(latest, done.after.freshness["as_of"])
        return [f"{done.job.name} failed though nothing was in its way"] if done.calm else []

    def of_result(self, done: Done, result: object) -> list[str]:
        """Say what the job says of itself, or of the mirror, that is not so."""
        complaints = []
        match result:
            case RunResult():
                complaints = self._of_run(done, done.job.selection or Selection(), result)
            case Verification():
                complaints = self._of_verification(done, result)
            case Replayed():
                complaints = _of_replay(done)
        if done.after.left_behind:
            complaints.append(f"{done.after.left_behind} searches are walked by nobody")
        return complaints + self._of_freshness(done.after)

    def note_result(self, result: object) -> None:
        """Take note of what a job that was woken came to: its complete runs count for freshness."""
        run = result.sync if isinstance(result, Verification) else result
        if isinstance(run, RunResult) and run.outcome is Outcome.COMPLETE and run.scope == "full" and run.sums.as_of:
            self._full_runs[run.run_id] = run.sums.as_of

    def _of_run(self, done: Done, selection: Selection, run: RunResult) -> list[str]:
        self.result.count(f"{selection.scope} runs {run.outcome}")
        self.note_result(run)
        complaints = []
        deleted = checks.deletions(done.before, done.after)
        if deleted and selection.scope != "full":
            complaints.append("a run that is not a full one marked messages as deleted")
        if deleted > BRAKE and not done.job.accepts_deletions:
            complaints.append(f"a run marked {deleted} messages as deleted by itself")
        if run.outcome is Outcome.COMPLETE:
            return complaints + self._of_complete_run(done, selection, run)
        gone = any(not one.deleted and one.id not in self.source.served() for one in done.before.current.values())
        believed = done.job.accepts_deletions or not gone
        # Somebody left, and few are left on the roster: only an operator knows that it is so.
        shrunk = {plan.ROSTER_EMPTY, plan.ROSTER_SHRUNK} & run.reasons.keys()
        if done.calm and believed and not run.resumed and not shrunk and not run.sums.is_flooded:
            complaints.append(f"{run.outcome} though nothing was in its way: {run.reasons}")
        return complaints

    def _of_complete_run(self, done: Done, selection: Selection, run: RunResult) -> list[str]:
        as_of = run.sums.as_of
        if as_of is None:
            return ["a complete run has no as_of"]
        if self.lied_at >= as_of:
            return []
        quiet = self.source.changed_at < as_of
        served = self.source.served()
        if selection.scope == "full":
            if quiet:
                self.result.count("mirror compared")
                self._snapshots[done.after.at] = done.after.as_of(done.after.at)
                self.settled = self.source.contents, done.after
            promised = [one for one in served.values() if self._is_promised(one, as_of, done.before, selection)]
            return checks.unlike(done.after, promised) + self._surplus(done.after, as_of)
        if selection.scope == "selected" and quiet:
            return checks.unlike(done.after, [one for one in served.values() if _is_asked_for(one, selection)])
        return []

    def _is_promised(self, resource: Resource, as_of: datetime, before: View, selection: Selection) -> bool:
        """Tell whether a full run that is complete as of that time must have this message.

        It stood still; and the mirror had it, or it lies in a search of the run for certain.
        """
        if self.source.moved[resource["id"]] >= as_of:
            return False
        row = before.current.get(resource["id"])
        if selection.by_patient or (row is not None and not row.deleted):
            return True
        known = before.practitioners
        if self.source.people_changed_at < as_of:
            known |= self.source.clinic.practitioners.keys()
        return people_of(resource).get("Practitioner") in known

    def _of_verification(self, done: Done, verification: Verification) -> list[str]:
        self.result.count("verify clean" if verification.clean else "verify not clean")
        complaints = []
        if verification.sync is not None:
            complaints += self._of_run(done, Selection(), verification.sync)
        if verification.clean and self.lied_at < done.began_at:
            served = self.source.served().values()
            steady = [one for one in served if self.source.moved[one["id"]] < done.began_at]
            # A sync that goes on with what another had accepted may leave in quarantine what was mended since.
            after = replace(done.after, quarantined=dict.fromkeys(done.after.quarantined))
            complaints += checks.unlike(after, steady) + self._surplus(after, done.began_at)
        return complaints

    def _of_copy(self, view: View) -> list[str]:
        """Copy incrementally, up to what is settled, and say what the copy lacks of what it has read past."""
        until = view.freshness["settled_at"]
        if until is None:
            return []
        changed_at = {one.id: one.known_from for one in view.current.values()}
        late = [one for one, at in changed_at.items() if at <= self._copied_to and self._copy.get(one) != at]
        self._copy |= {one: at for one, at in changed_at.items() if at <= until}
        self._copied_to = until
        return [f"{len(late)} rows came behind what was settled"] if late else []

    def _surplus(self, view: View, since: datetime) -> list[str]:
        restless = {one for one, moved_at in self.source.moved.items() if moved_at >= since}
        return checks.surplus(view, restless | view.held | self.source.served().keys())

    def _of_freshness(self, view: View) -> list[str]:
        latest = max(self._full_runs.values(), default=None)
        if view.freshness["as_of"] == latest:
            return []
        return [f"freshness as of {view.freshness['as_of']}, the last full complete run as of {latest}"]


def _of_replay(done: Done) -> list[str]:
    views = (done.before, done.after)
    rules = {one.rules_version for one in (*done.after.current.values(), *done.after.past)}
    complaints = [f"versions by several rules after a replay: {sorted(rules)}"] if len(rules) > 1 else []
    before, after = (
        {(one.id, one.known_from, one.known_to, one.deleted) for one in (*view.current.values(), *view.past)}
        for view in views
    )
    return complaints if before == after else [*complaints, "a replay made, moved or ended a version"]


def _is_asked_for(resource: Resource, selection: Selection) -> bool:
    people = people_of(resource)
    return (
        people.get("Practitioner") in selection.practitioners
        or people.get("Patient") in selection.patients
        or resource["id"] in selection.ids
    )
