"""Asks the source for messages by id, and tells whether its answers can be believed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.errors import PageFailed
from worker.extract import roster
from worker.extract.content_hash import hash_entry
from worker.extract.entry import read_entry
from worker.jobs.run.walk import NOT_KNOWN, RESOURCE
from worker.records import Communication, NonMatch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from worker.extract.client import Source


@dataclass(frozen=True, slots=True)
class Answer:
    """What the source says of one id now. `known` is None if it gave no answer.

    `content_hash` is of the version that it has, None if that cannot be a row.
    """

    known: bool | None
    content_hash: bytes | None = None


async def ask(source: Source, message_id: str, ignored: tuple[str, ...] = ()) -> Answer:
    """Return what the source says of a message now. A page that cannot be fetched, or says nothing of it, is no answer.

    Raises what `Source.first_page` raises of the source as a whole.
    """
    try:
        page = await source.first_page(RESOURCE, [("_id", message_id)])
    except PageFailed as failed:
        return Answer(False if failed.reason in NOT_KNOWN else None)
    records = [read_entry(entry, hash_entry(entry), ignored) for entry in page.entries]
    if page.total == 0 and not records:
        return Answer(known=False)
    for record in records:
        if not isinstance(record, NonMatch) and record.id == message_id:
            return Answer(known=True, content_hash=record.content_hash if isinstance(record, Communication) else None)
    return Answer(None)


async def lists_patient(source: Source, patient_id: str) -> bool | None:
    """Return whether the source lists a patient now; None if it does not say. Raises as `ask`.

    A client may lack the scope to read patients. Then the answer is None.
    """
    try:
        page = await source.first_page(roster.PATIENTS.resource, [("_id", patient_id)])
    except PageFailed as failed:
        return False if failed.reason in NOT_KNOWN else None
    entries = [entry for entry in map(roster.read_patient, page.entries) if not entry.non_match]
    if any(entry.id == patient_id for entry in entries):
        return True
    return False if page.total == 0 and not entries else None


async def knows_one_of(source: Source, message_ids: Iterable[str]) -> bool:
    """Tell whether the source knows at least one of these ids, which searches have just shown. Raises as `ask`."""
    for message_id in message_ids:
        if (await ask(source, message_id)).known:
            return True
    return False
