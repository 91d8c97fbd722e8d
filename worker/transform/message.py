"""Assembly: a decoded `Communication` becomes the `Message` that is a row. Pure, and total over its input."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from functools import lru_cache
from typing import TYPE_CHECKING

from worker.records import Body, Communication, Message, Reference
from worker.transform.caps import within_caps
from worker.transform.cutoff import Cutoff, Format, decide
from worker.transform.innertext import inner_text
from worker.transform.sanitize import escaped, safe_html

if TYPE_CHECKING:
    from datetime import datetime

# Raised by whoever changes what a row derived from the same resource looks like; `replay` goes by it.
RULES = 1

# Canvas's Communication page for the first four. FHIR R4 EventStatus has more: what was stopped, did not
# happen or was entered in error is void; what is on hold waits to be sent like what is in progress.
_DELIVERY = {
    "completed": "sent",
    "preparation": "draft",
    "in-progress": "scheduled",
    "unknown": "unknown",
    "on-hold": "scheduled",
    "not-done": "void",
    "stopped": "void",
    "entered-in-error": "void",
}
_NOTHING = Body(text=None, html=None, format=None, basis=None)


@dataclass(frozen=True, slots=True)
class Rules:
    """What can be set about the transform rules."""

    cutoff: Cutoff


@lru_cache(maxsize=8)
def rules_version(rules: Rules) -> str:
    """Return the version of the rules with their cutoff, e.g. `1@2022-10-27T00:00:00Z`.

    Where the cutoff has an ambiguous span, its end follows: `…/2022-10-27T01:00:00Z`.
    """
    version = f"{RULES}@{_instant(rules.cutoff.instant)}"
    if rules.cutoff.until > rules.cutoff.instant:
        version += f"/{_instant(rules.cutoff.until)}"
    return version


def to_message(communication: Communication, rules: Rules) -> Message:
    """Return the row of a Communication.

    With several recipients, `direction` and the two ids are those of the sender and the first recipient of
    the opposite kind; all are in `recipients`. `payloads` is filled only where there are several.
    """
    direction, patient, practitioner = _sides(communication.sender, communication.recipients)
    bodies = tuple(_body(payload, communication.sent, rules.cutoff) for payload in communication.payloads)
    return Message(
        id=communication.id,
        status=communication.status,
        delivery=_DELIVERY.get(communication.status or "", "unknown"),
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
        rules_version=rules_version(rules),
        resource=communication.resource,
        raw_hash=communication.raw_hash,
        content_hash=communication.content_hash,
    )


def _sides(sender: Reference | None, recipients: tuple[Reference, ...]) -> tuple[str, str | None, str | None]:
    """Return direction, patient's id, practitioner's id; of an unknown direction the sides that are known."""
    if sender and sender.type == "Patient":
        practitioner = _first("Practitioner", recipients)
        if practitioner:
            return "patient_to_practitioner", sender.id, practitioner
    if sender and sender.type == "Practitioner":
        patient = _first("Patient", recipients)
        if patient:
            return "practitioner_to_patient", patient, sender.id
    everyone = (*([sender] if sender else []), *recipients)
    return "unknown", _first("Patient", everyone), _first("Practitioner", everyone)


def _first(kind: str, references: tuple[Reference, ...]) -> str | None:
    return next((reference.id for reference in references if reference.type == kind), None)


def _body(content: str | None, sent: datetime | None, cutoff: Cutoff) -> Body:
    """Return one payload's body: plain text as it is, of HTML over the caps the text alone."""
    if content is None:
        return _NOTHING
    decision = decide(content, sent, cutoff)
    if decision.format is Format.PLAIN:
        return Body(text=content, html=None, format=decision.format.value, basis=decision.basis.value)
    return Body(
        text=inner_text(content),
        html=safe_html(content) if within_caps(content) else None,
        format=decision.format.value,
        basis=decision.basis.value,
    )


def _joined(bodies: tuple[Body, ...]) -> Body:
    """Return the whole message: texts joined by a blank line, HTML as one block for each payload.

    Payloads without content are left out. It is HTML if any is, on the basis of the first that is.
    """
    present = [body for body in bodies if body.text is not None]
    if len(present) <= 1:
        return present[0] if present else _NOTHING
    deciding = next((body for body in present if body.format == Format.HTML), present[0])
    return Body(
        text="\n\n".join(body.text or "" for body in present),
        html=_blocks(present) if deciding.format == Format.HTML else None,
        format=deciding.format,
        basis=deciding.basis,
    )


def _blocks(bodies: list[Body]) -> str | None:
    """Return each payload as a block of safe HTML, or None if one of them is over the caps."""
    blocks = []
    for body in bodies:
        if body.format == Format.PLAIN:
            blocks.append(escaped(body.text or ""))
        elif body.html is None:
            return None
        else:
            blocks.append(f"<div>{body.html}</div>")
    return "".join(blocks)


def _instant(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
