"""The row of a record on which our own code failed: every column that can be derived, substitutes for the others.

`worker.transform.message` has failed on the record, and it is not known in which stage. So each stage is called through
`guarded`, with a substitute that cannot fail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.defects import guarded
from worker.records import Body, Communication, Message, Quality
from worker.transform.bodies import ReadHtml
from worker.transform.cutoff import Format, decide
from worker.transform.safe_html.sanitize import safe_html
from worker.transform.sides import delivery_of, sides_of
from worker.transform.text.fallback import text_without_structure
from worker.transform.text.innertext import inner_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from worker.transform.cutoff import Cutoff

DEFECT_MARK = "+defect"
"""Ends the rules version of such a row: it counts as derived by older rules, so `replay` derives it anew."""


def salvaged(communication: Communication, cutoff: Cutoff, version: str, read: Mapping[str, ReadHtml]) -> Message:
    """Return the row of a record on which our own code failed; `version` is that of the rules. Never raises.

    `read` are bodies that were read already.

    Each column that can be derived is as it should be. Otherwise `delivery` and `direction` are `unknown`, and a body
    has no HTML; its text is what is left without its tags, or the body as it came. A body whose format cannot be
    decided has neither format nor basis.
    """
    bodies = tuple(_body(content, communication.sent, cutoff, read) for content in communication.payloads)
    direction, patient, practitioner = guarded(
        lambda: sides_of(communication.sender, communication.recipients), lambda: ("unknown", None, None)
    )
    return Message(
        id=communication.id,
        status=communication.status,
        delivery=guarded(lambda: delivery_of(communication.status), lambda: "unknown"),
        direction=direction,
        patient_id=patient,
        practitioner_id=practitioner,
        sender=communication.sender,
        recipients=communication.recipients,
        sent_at=communication.sent,
        received_at=communication.received,
        body=_joined(bodies),
        payloads=bodies if len(bodies) > 1 else (),
        payload_count=len(bodies),
        rules_version=version + DEFECT_MARK,
        resource=communication.resource,
        raw_hash=communication.raw_hash,
        content_hash=communication.content_hash,
        quality=tuple(sorted(communication.quality | {Quality.DEFECT})),
    )


def _body(content: str | None, sent: datetime | None, cutoff: Cutoff, read: Mapping[str, ReadHtml]) -> Body:
    decision = guarded(lambda: None if content is None else decide(content, sent, cutoff), lambda: None)
    if content is None or decision is None:
        return Body(text=content, html=None, format=None, basis=None)
    text, html = ReadHtml(content, None)
    if decision.is_html:
        text, html = read.get(content) or _read(content)
    return Body(text=text, html=html, format=decision.format.value, basis=decision.basis.value)


def _read(content: str) -> ReadHtml:
    text = guarded(lambda: inner_text(content), lambda: _without_tags(content))
    return ReadHtml(text, guarded(lambda: safe_html(content), lambda: None))


def _without_tags(content: str) -> str:
    return guarded(lambda: text_without_structure(content), lambda: content)


def _joined(bodies: tuple[Body, ...]) -> Body:
    """Return the whole message. Of several payloads only the texts are joined; each has its HTML by itself."""
    present = [body for body in bodies if body.text is not None]
    if len(present) <= 1:
        return present[0] if present else Body(text=None, html=None, format=None, basis=None)
    deciding = next((body for body in present if body.format == Format.HTML), present[0])
    text = "\n\n".join(body.text or "" for body in present)
    return Body(text=text, html=None, format=deciding.format, basis=deciding.basis)
