"""What `--json` prints: one document on stdout, for programs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from worker.jobs.verify import Verification


def verification_as_json(result: Verification) -> dict[str, Any]:
    """Return what `verify --json` prints: counts, and the ids of messages that differ. No reference to anybody.

    `moved` is None if no two passes agreed: then nobody knows.
    """
    return {
        "run_id": result.run_id,
        "proven": result.proven,
        "reason": result.reason,
        "clean": result.clean,
        "passes": result.passes,
        "patients": result.patients,
        "entries": result.entries,
        "moved": result.found.moved if result.agreed else None,
        "gone": result.found.gone,
        "denied": result.found.denied,
        "unknown": result.found.unknown,
        "differences": result.found.differences,
        "ids": result.found.ids,
    }


def value_as_json(value: object) -> str | float:
    """Return what JSON has no form for, as `status --json` prints it: ISO 8601, and seconds."""
    if isinstance(value, datetime):
        return value.isoformat()
    return value.total_seconds() if isinstance(value, timedelta) else str(value)
