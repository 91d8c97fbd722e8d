"""Whether a search is accepted as read completely (by the rule of `tally`), and what to do if not. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.defects import guarded
from worker.records import Reason, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable

    from worker.jobs.run.tally import Tally
    from worker.load.fingerprints import Fingerprint
    from worker.records import Communication, Search

WALKS_MAX = 3
"""How often a search is walked before it is closed as not accepted."""
PAUSES_S = (0.0, 1.0, 3.0)
"""How long to wait before each walk, because what is wrong may pass."""
READINGS_MAX = 10
"""How often one walk may read its search from the first page to the last while the search keeps changing."""


def objection(tally: Tally) -> str | None:
    """Return why a search is not accepted, in a word, or None if it is.

    Besides the rule of `tally`, every entry must have been asked for, and the source must not say itself that something
    is missing (FHIR R4 §3.1.1.5.3).
    """
    if tally.total is None:
        return "no_total"
    if not tally.is_whole:
        return "results_not_whole"
    if tally.strangers:
        return "filter_ignored"
    if tally.is_accepted or tally.find_instant():
        return None
    if len({total for total, _ in tally.readings[-1].pages} if tally.readings else ()) > 1:
        return "total_changed"
    if tally.stands_still:
        return "too_few_entries" if tally.entries < tally.total else "too_many_entries"
    return "pages_changed"


def is_worth_another_reading(tally: Tally) -> bool:
    """Tell whether another reading in the same walk may make a search acceptable."""
    says_why_not = tally.total is None or not tally.is_whole or tally.strangers > 0
    return not says_why_not and not tally.stands_still and len(tally.readings) < READINGS_MAX


def belongs(communication: Communication, search: Search) -> bool:
    """Tell whether a message can be a match of the search; if not, the server ignored the filter.

    A message that names nobody on that side (`sender` null, a recipient by identifier only) contradicts no filter.
    """
    if search.parameter == "_id":
        return communication.id == search.value
    side = communication.recipients if search.parameter == "recipient" else (communication.sender,)
    named = [str(reference) for reference in side if reference is not None]
    return not named or search.value in named


def judged(record: Communication, entry: bytes, search: Search) -> tuple[Communication | Rejected, bool]:
    """Return a message, and whether it is a stranger to the search; a `Rejected` if our own code fails on it."""

    def judge() -> tuple[Communication | Rejected, bool]:
        return record, not belongs(record, search)

    return guarded(judge, lambda: (Rejected(Reason.DEFECT, record.id, entry, record.raw_hash), False))


def looks_unchanged(total: int | None, raw_hashes: Iterable[bytes], fingerprint: Fingerprint, *, is_only: bool) -> bool:
    """Tell whether a first page gives no reason to walk its search: same total, and nothing on it is new or changed.

    A page that contradicts itself gives a reason: the only page must show `total` entries, another at least one.
    """
    hashes = set(raw_hashes)
    adds_up = len(hashes) == total if is_only else bool(hashes)
    return total is not None and total == fingerprint.total and adds_up and hashes <= fingerprint.usable.keys()
