"""What `--json` prints: one document on stdout, for programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from worker.advice import advise, again_of

if TYPE_CHECKING:
    from worker.jobs.run.mirror import RunResult
    from worker.jobs.verify.job import Verification


def verification_as_json(result: Verification) -> dict[str, Any]:
    """Return what `verify --json` prints: counts, and the ids of messages that differ. It refers to no person.

    `moved` is None if no two passes agreed, because then nobody knows.
    """
    return {
        "run_id": result.run_id,
        "proven": result.proven,
        "reason": result.reason,
        "clean": result.clean,
        "passes": result.passes,
        "patients": result.patients,
        "entries": result.entries,
        **asdict(result.found),
        "moved": result.found.moved if result.agreed else None,
    }


def run_as_json(result: RunResult) -> dict[str, Any]:
    """Return what `sync --json` and `backfill --json` print: the run as in `status --json`, and how it ended.

    `reasons` says why it was not complete: the number of searches for each reason, None for a reason of the whole run.
    `next` is a list of sentences that say what to type, empty after a complete run.
    """
    complete = result.outcome == "complete"
    return {
        **result.figures,
        "resumed": result.resumed,
        "reasons": {} if complete else {reason: result.reasons.get(reason) for reason in result.why},
        "gone": result.gone,
        "not_asked": result.not_asked,
        "held": result.held,
        "not_listed": result.sums.not_listed,
        "not_found": result.in_vain,
        "next": [] if complete else list(advise(result.why, again_of(result.job)) or [f"{again_of(result.job)}."]),
    }


def document(content: dict[str, Any]) -> str:
    """Return a JSON document; instants are ISO 8601, durations seconds."""
    return json.dumps(content, default=value_as_json, indent=2)


def value_as_json(value: object) -> str | float:
    """Return the JSON form of a value that JSON has none for: ISO 8601 for instants, seconds for durations."""
    if isinstance(value, datetime):
        return value.isoformat()
    return value.total_seconds() if isinstance(value, timedelta) else str(value)
