"""Whether a difference that verify found is one: each is asked for by id once more. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from worker.load.sightings import Difference


class Verdict(StrEnum):
    """What a difference comes to: a fault of the mirror, something that moved meanwhile, or nobody can tell."""

    DIFFERENCE = "difference"
    MOVED = "moved"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the source says of one id now: `known` None if it could not be asked; its hash if it has it."""

    known: bool | None
    content_hash: bytes | None = None


def judge(difference: Difference, answer: Answer, *, synced_since: datetime | None, began_at: datetime) -> Verdict:
    """Tell a fault of the mirror from what moved at the source while it was read.

    `synced_since` is the start of the sync that this verification began with, None under `--no-sync`: only after such
    a sync, a row that holds just what the sync was shown, and no longer what the source says, has moved. A message
    that was sent after the reading began has moved too.
    """
    if difference.kind in {"altered", "unaccounted"}:
        return Verdict.DIFFERENCE
    if answer.known is None:
        return Verdict.UNKNOWN
    if difference.kind == "missing":
        return _moved_if(
            not answer.known or (difference.sent_at is not None and difference.sent_at >= (synced_since or began_at))
        )
    if answer.known and answer.content_hash == difference.mirror_hash:
        return Verdict.MOVED
    return _moved_if(synced_since is not None and difference.as_last_shown)


def _moved_if(moved: bool) -> Verdict:
    return Verdict.MOVED if moved else Verdict.DIFFERENCE
