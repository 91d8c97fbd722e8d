"""What a person sees of results: tables and lines on stdout, which end with the next command."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from worker.advice import ACCEPT_DELETIONS, again_of, next_steps
from worker.jobs.run.deletions import UNBELIEVED, Deletions
from worker.jobs.run.plan import changed_unseen
from worker.jobs.verify.differences import advice

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from worker.jobs.backfill import Estimate
    from worker.jobs.check import Check
    from worker.jobs.replay import Replayed
    from worker.jobs.run.mirror import RunResult
    from worker.jobs.verify.job import Verification

_WIDTH_WITHOUT_TERMINAL = 120
# By scope, what a complete run proves. A quick run reads only first pages, so it proves nothing of the kind.
_AS_OF = {
    "full": "every message that did not change at the source since then is in the mirror",
    "selected": "every message asked for that did not change since then is in the mirror",
}

_WHY_UNBELIEVED = {
    Deletions.TOO_MANY: "so many at once look like a fault of the source",
    Deletions.SOURCE_UNRELIABLE: "the source does not know by id what it has just shown",
}


def console() -> Console:
    """Return the console for results: stdout, as wide as the terminal, no colours elsewhere."""
    return Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else _WIDTH_WITHOUT_TERMINAL)


def show_run(result: RunResult, *, again: str = "", believe: str = ACCEPT_DELETIONS, in_vain: str = "") -> None:
    """Print the summary of a run, and the next command if it was not complete.

    `again` is that command if it is not the job's own. `believe` is the command for deletions that were not believed.
    `in_vain` is a line on named ids that were not found.
    """
    sums, out = result.sums, console()
    out.print(
        f"Run {result.run_id} ({result.job}, {result.scope}{', resumed' if result.resumed else ''}): {result.outcome}"
    )
    out.print(f"  searches    {sums.accepted:,} of {sums.searches:,} accepted, {result.requests:,} requests")
    out.print(
        f"  messages    {sums.entries:,} served: {sums.new:,} new, {sums.changed:,} changed, "
        f"{sums.unchanged:,} unchanged, {sums.outside:,} outside"
    )
    out.print(f"  quarantine  {sums.quarantined:,} new entries")
    if result.outcome == "complete" and result.scope in _AS_OF and sums.as_of is not None:
        out.print(f"  as of       {_text(sums.as_of)}: {_AS_OF[result.scope]}")
    for remark in _remarks(result, in_vain):
        out.print(f"  {remark}", soft_wrap=True)
    for reason, searches in result.reasons.items():
        out.print(f"  not accepted: {searches:,} searches, {reason}")
    if result.outcome == "complete":
        return
    if sums.is_flooded:
        out.print(
            f"Incomplete because {sums.flood:,} entries of earlier runs are in quarantine and nobody accepted them."
            if sums.flood
            else f"Incomplete because {sums.quarantined:,} entries went to quarantine."
        )
    if result.deletions in UNBELIEVED:
        they = f"up to {result.gone + result.not_asked:,} messages are" if result.not_asked else "they are"
        out.print(
            f"No message was marked as deleted ({result.deletions}): {_WHY_UNBELIEVED[result.deletions]}. "
            f"The command that accepts deletions marks them all: use it only if {they} meant to be gone."
        )
    out.print("Running it again is safe. Nothing in doubt was marked as deleted. See deploy/runbook/incomplete-run.md.")
    for line in next_steps(result.why, again or again_of(result.job), believe):
        out.print(line, soft_wrap=True)


def _remarks(result: RunResult, in_vain: str) -> Iterator[str]:
    """Yield remarks on a run that do not depend on its outcome, a line each."""
    if changed_unseen(result.sums):
        yield (
            f"unseen      {result.sums.unseen:,} changed, and no column that an analyst sees did: something in them "
            "differs at each read. Name it in MIRROR_IGNORE, and it makes no more versions"
            " (see deploy/runbook/changed-every-night.md)"
        )
    if result.gone:
        least, more = ("at least ", f", {result.not_asked:,} more not asked for") if result.not_asked else ("", "")
        what = f"{least}{result.gone:,} messages the source no longer knows{more}"
        yield f"gone        {what}, {result.deleted:,} marked as deleted"
    if result.held:
        yield f"held        {_held(result.held)}"
    if result.sums.not_listed:
        yield (
            f"not listed  {result.sums.not_listed:,} searches are refused for practitioners who are not on the roster "
            "any more. Their messages stay; message-mirror backfill finds new ones by patient"
        )
    if in_vain:
        yield f"not found   {in_vain}"


def _held(messages: int) -> str:
    """Return a sentence on held deletions: what they look like, and how to accept them."""
    return (
        f"{messages:,} of the messages that are gone are not marked as deleted: they are all that a patient or a "
        "practitioner had, or belong to a patient whom the source no longer lists, as if the client's scope had "
        f"shrunk. If they are meant to be gone: {ACCEPT_DELETIONS}"
    )


def show_verification(result: Verification) -> None:
    """Print the result of a verification, and what to do about it."""
    out, found = console(), result.found
    if result.sync is not None:
        show_run(result.sync)
    verdict = "proven" if result.clean else "differences found" if result.proven else f"not proven ({result.reason})"
    out.print(f"Verification, run {result.run_id}: {verdict}")
    out.print(
        f"  {result.entries:,} entries seen in the searches of {result.patients:,} patients, {result.passes} passes"
    )
    if result.agreed:
        out.print(
            f"  moved meanwhile: {found.moved:,}, gone: {found.gone:,}; could not be asked for: {found.unknown:,}"
        )
    if found.held:
        out.print(f"  held: {_held(found.held)}", soft_wrap=True)
    least = "at least " if result.reason == Deletions.TOO_MANY else ""  # asking ended there
    for kind, count in sorted(found.differences.items()):
        out.print(f"  {kind}: {least}{count:,}, such as {', '.join(found.ids.get(kind, [])[:3]) or '(without id)'}")
    if "missing" in found.differences:
        out.print("  Missing messages may have been written during the verification; then the next sync lands them.")
    next_step = advice(result.reason, found.differences)
    if next_step is not None:
        out.print(next_step, soft_wrap=True)


def show_replay(result: Replayed) -> None:
    """Print what a replay did."""
    out = console()
    out.print(f"Replay, run {result.run_id}: {result.rewritten:,} versions rewritten")
    if result.unreadable:
        out.print(f"  {result.unreadable:,} stored versions cannot be read by these rules and stay as they are")
    if result.refused:
        out.print(f"  {result.refused:,} versions are refused by the warehouse and stay as they are; the log says why")
    out.print(f"  quarantine  {result.released:,} entries landed, {result.still_quarantined:,} stay")


def show_estimate(estimate: Estimate) -> None:
    """Print what a backfill would ask for."""
    out = console()
    out.print("Dry run: nothing was landed.")
    out.print(f"  searches  {estimate.searches:,}")
    out.print(f"  messages  {estimate.messages:,} (a message found from both of its sides counts twice)")
    out.print(f"  requests  about {estimate.requests:,}")
    if estimate.unknown:
        out.print(f"  unknown   {estimate.unknown:,} searches could not be asked")


def show_check(check: Check) -> None:
    """Print one line of `check`."""
    sign = {True: "✓", False: "✗", None: "!"}[check.ok]
    try:
        sign.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:  # ✓ and ✗ would both be shown as a question mark
        sign = "ok" if check.ok else "failed"
    console().print(f"{sign} {check.what}" + (f" — {check.next}" if check.next else ""), soft_wrap=True)


def show_rows(title: str, rows: Sequence[dict[str, Any]]) -> None:
    """Print rows as a table, headed by the keys of the first row."""
    if not rows:
        console().print(f"{title}: none")
        return
    table = Table(title=title, title_justify="left")
    for name, value in rows[0].items():
        table.add_column(name.replace("_", " "), justify="right" if isinstance(value, (int, float)) else "left")
    for row in rows:
        table.add_row(*map(_text, row.values()))
    console().print(table)


def show_status(status: dict[str, Any]) -> None:
    """Print what `worker.jobs.status` returned."""
    freshness, out = status["freshness"], console()
    if freshness["as_of"] is None:
        out.print("No full run was complete yet.")
    else:
        out.print(
            f"As of {_text(freshness['as_of'])} ({_text(freshness['age'])} ago), "
            f"by run {freshness['last_complete_run_id']}."
        )
    out.print(
        f"{freshness['messages']:,} messages, {freshness['messages_deleted']:,} deleted at the source, "
        f"{freshness['quarantined']:,} in quarantine, {status['rows_by_older_rules']:,} versions for replay."
    )
    if status["held_deletions"]:
        out.print(f"Held: {_held(status['held_deletions'])}", soft_wrap=True)
    runs = status["runs"]
    if status["under_way"] is not None:
        out.print(_under_way(status["under_way"]), soft_wrap=True)
    show_rows("Last runs", [_run_row(run) for run in runs])
    for run in runs:
        if run["reason"] is not None:
            out.print(
                f"Run {run['run_id']} was {run['outcome']}: {run['reason']} (see deploy/runbook/incomplete-run.md)."
            )
    newest = next((run for run in runs if run["outcome"] is not None), None)
    if newest is not None and newest["reason"] is not None:
        out.print(*next_steps([newest["reason"]], again_of(newest["job"])), sep="\n", soft_wrap=True)
    if status["lock"] is not None:
        since = f" since {_text(status['lock']['since'])}" if status["lock"]["since"] else ""
        out.print(f"The run lock is held by {status['lock']['holder'] or 'another session'}{since}.")
    elif any(run["outcome"] is None for run in runs):
        out.print(
            "A run is open, but no process works on it: it was abandoned. The next such run resumes or closes it."
        )
    if status["not_accepted"]:
        show_rows(
            "Searches not accepted (deploy/runbook/incomplete-run.md explains the reasons)", status["not_accepted"]
        )
        steps = next_steps([row["reason"] for row in status["not_accepted"]], "message-mirror sync")
        out.print(*steps, sep="\n", soft_wrap=True)
    show_rows("Quarantine", status["quarantine"])
    show_rows("Sizes", status["sizes"])


def _under_way(run: dict[str, Any]) -> str:
    """Say how far a run is, and how long it may still take."""
    expected = f" of about {run['expected_entries']:,}" if run["expected_entries"] else ""
    took, left = timedelta(seconds=run["seconds"]), run["remaining_seconds"]
    return (
        f"Run {run['run_id']} ({run['job']}, {run['scope']}) is under way for {_text(took)}: "
        f"{run['searches_done']:,} of {run['searches']:,} searches, {run['entries']:,}{expected} messages served, "
        f"{run['new']:,} new, {run['changed']:,} changed, {run['requests']:,} requests; "
        + ("how long it takes is not known yet." if left is None else f"about {_text(timedelta(seconds=left))} left.")
    )


def _run_row(run: dict[str, Any]) -> dict[str, Any]:
    """Return what the table of runs shows, as much as fits into 120 columns. `status --json` has the rest."""
    searches, accepted = run["searches"], run["searches_accepted"]
    return {
        "run": run["run_id"],
        "job": f"{run['job']} {run['scope']}",
        "outcome": run["outcome"] or "open",
        "started (UTC)": f"{run['started_at']:%Y-%m-%d %H:%M}",
        "took": timedelta(seconds=run["seconds"]),
        "accepted": None if searches is None else f"{accepted:,} of {searches:,}",
        "new": run["new"],
        "changed": run["changed"],
        "deleted": run["deleted"],
        "quarantine": run["quarantined"],
    }


def _text(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, timedelta):
        return str(timedelta(seconds=round(value.total_seconds())))
    return f"{value:,}" if isinstance(value, int) else str(value)
