"""Judges the differences that verify found, each asked for by id once more, and what to do about them. Pure."""

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
    """What a difference means: a fault of the mirror, a message that moved or is gone, or nobody knows.

    Held: a sync was told that the message is gone, and did not believe it.
    """

    DIFFERENCE = "difference"
    MOVED = "moved"
    GONE = "gone"
    HELD = "held"
    UNKNOWN = "unknown"


def judge(difference: Difference, answer: Answer, *, began_at: datetime, now: datetime) -> Verdict:
    """Tell a fault of the mirror from a change at the source while it was read.

    A message has moved in three cases: it was sent after the verification began at `began_at`; the mirror holds what
    the source says `now`; or the row holds what the verification's own sync was shown, and the source now says
    something else. A row is gone if the source no longer knows it; that counts only if the source is believed (see
    `doubt`). If the mirror never had a message, and the source denies the id that its search showed, the next
    verification decides.

    `sent` is what the client wrote. A message written meanwhile without it, or with an earlier one, counts as missing,
    because it cannot be told from a message that a sync lost.
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
    """Return in a word why the source's denials are not believed, None if they are: by the rules of a full run.

    `denied` is how many ids the source said it does not know, of gone messages and of extra rows alike.
    `source_knows_ids` is whether the source knows by id what the last pass showed.
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
    """Return what to do after a verification that is not proven for `reason`, or found these kinds; else None."""
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
