"""The decisions about messages that the source no longer knows by id. Pure."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.load.ledger import RunSums
    from worker.load.missing import Gone

DELETIONS_FLOOR = 50
DELETIONS_SHARE = 0.05
HELD_FLOOR = 3


def deletions_max(live: int) -> int:
    """Return how many messages, of `live`, a run may mark as deleted without the operator."""
    return max(DELETIONS_FLOOR, int(DELETIONS_SHARE * live))


class Deletions(StrEnum):
    """What is done about messages that the source no longer knows by id."""

    NONE_FOUND = "none_found"
    MARK = "mark"
    NOT_A_FULL_RUN = "not_a_full_run"
    RUN_NOT_ACCEPTED = "run_not_accepted"
    TOO_MANY = "too_many"
    SOURCE_UNRELIABLE = "source_unreliable"


UNBELIEVED = frozenset({Deletions.TOO_MANY, Deletions.SOURCE_UNRELIABLE})
"""The source says that messages are gone, but is not believed, because it looks like a fault of the source."""


def decide(
    *, gone: int, live: int, scope: str, all_accepted: bool, source_knows_ids: bool, accepted_by_operator: bool
) -> Deletions:
    """Decide whether messages that are gone may be marked as deleted.

    Only a full run whose searches were all accepted marks them, and only if the source knows by id what it has just
    shown (a token whose scope shrank answers `total` 0 to everything). It never marks very many, unless the operator
    said so.
    """
    if gone == 0:
        return Deletions.NONE_FOUND
    if scope != "full":
        return Deletions.NOT_A_FULL_RUN
    if gone > deletions_max(live) and not accepted_by_operator:
        return Deletions.TOO_MANY
    if not all_accepted:
        return Deletions.RUN_NOT_ACCEPTED
    return Deletions.MARK if source_knows_ids or accepted_by_operator else Deletions.SOURCE_UNRELIABLE


def all_of_somebody(gone: Sequence[Gone]) -> frozenset[str]:
    """Return which of the messages that are gone were all the messages of their patient or practitioner.

    `HELD_FLOOR` or more of them look as if that person was hidden from the client. They are held, not marked.
    """
    patients = Counter(one.patient_id for one in gone)
    practitioners = Counter(one.practitioner_id for one in gone)
    del patients[None], practitioners[None]
    return frozenset(
        one.id
        for one in gone
        if (not one.patient_left and patients[one.patient_id] >= HELD_FLOOR)
        or (not one.practitioner_left and practitioners[one.practitioner_id] >= HELD_FLOOR)
    )


def decides_on_held(scope: str, sums: RunSums, verdict: Deletions) -> bool:
    """Tell whether a run knows everything that is gone, so that what it holds replaces what was held before."""
    all_accepted = sums.accepted == sums.searches
    return scope == "full" and all_accepted and verdict in {Deletions.NONE_FOUND, Deletions.MARK}
