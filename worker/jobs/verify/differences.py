"""Whether a difference that verify found is one, and what to do about it: each is asked for by id once more. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from worker.advice import next_steps
from worker.jobs.run import deletions

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from worker.jobs.run.ask import Answer
    from worker.load.sightings import Difference

SIGHTINGS_LOST = "sightings_lost"
NOT_ANSWERED = "differences_not_answered"
SYNC_NOT_COMPLETE = "sync_not_complete"
DIFFERENCES_FOUND = "differences_found"
FORBIDDEN = "http_403"


class Verdict(StrEnum):
    """What a difference comes to: a fault of the mirror, something that moved or went, or nobody can tell.

    Held is what a sync knows to be gone, and did not believe.
    """

    DIFFERENCE = "difference"
    MOVED = "moved"
    GONE = "gone"
    HELD = "held"
    UNKNOWN = "unknown"


def judge(difference: Difference, answer: Answer, *, began_at: datetime, now: datetime) -> Verdict:
    """Tell a fault of the mirror from what moved at the source while it was read.

    Moved is what was sent since the verification began at `began_at`; what the mirror holds just as the source says
    `now`; and a row that holds just what the sync that this verification began with was shown, but no longer what the
    source says. Gone is a row of which it says nothing any more: that is worth as much as its word (see `doubt`). Of
    what the mirror never had its searches and its word on the id contradict each other: the next verification tells.

    The source's `sent` is the client's word: a message written meanwhile without it, or dated back, is called missing.
    That cannot be told from what a sync lost.
    """
    if difference.kind == "altered" or difference.message_id is None:
        return Verdict.DIFFERENCE
    if answer.known is None:
        return Verdict.UNKNOWN
    if difference.held and not answer.known:
        return Verdict.HELD
    if difference.mirror_hash is None:
        if not answer.known:
            return Verdict.UNKNOWN
        sent_at = difference.sent_at
        return Verdict.MOVED if sent_at is not None and began_at <= sent_at <= now else Verdict.DIFFERENCE
    if answer.content_hash == difference.mirror_hash:
        return Verdict.MOVED
    if not difference.as_last_shown:
        return Verdict.DIFFERENCE
    return Verdict.MOVED if answer.known else Verdict.GONE


def doubt(*, denied: int, live: int, source_knows_ids: bool) -> str | None:
    """Return in a word why the source's denials are not believed, or None if they are: by the rules of a full run.

    `denied` is how many ids the source said it does not know, be they gone or rows that the mirror has too many;
    `source_knows_ids`: whether the source knows by id what the last pass showed.
    """
    verdict = deletions.decide(
        gone=denied,
        live=live,
        scope="full",
        all_accepted=True,
        source_knows_ids=source_knows_ids,
        accepted_by_operator=False,
    )
    return verdict.value if verdict in deletions.UNBELIEVED else None


def advice(reason: str | None, kinds: Collection[str]) -> str | None:
    """Return what to do about a verification: `reason` it is not proven, `kinds` of differences. None: nothing."""
    verify = "message-mirror verify"
    sync = ["message-mirror sync"] if {*kinds} - {"altered"} or reason == SYNC_NOT_COMPLETE else []
    replay = ["message-mirror replay"] if "altered" in kinds else []
    if (sync or replay) and reason not in {*deletions.UNBELIEVED, FORBIDDEN}:
        return f"Next: {', then '.join([*sync, *replay, verify])} again; verify --json lists the ids."
    if reason in deletions.UNBELIEVED:
        return (
            "The source denied by id what it had shown, or so many messages at once that it looks like a fault.\n"
            f"Next: look at the source and the client's scopes (message-mirror check), then {verify}."
        )
    return "\n".join(next_steps([reason], verify)) if reason else None
