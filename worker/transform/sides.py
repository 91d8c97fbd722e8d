"""Who wrote to whom, and whether the message was sent. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.records import Reference

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


def delivery_of(status: str | None) -> str:
    """Return what a Communication's status means: `sent`, `draft`, `scheduled`, `void` or `unknown`."""
    return _DELIVERY.get(status or "", "unknown")


def sides_of(sender: Reference | None, recipients: tuple[Reference, ...]) -> tuple[str, str | None, str | None]:
    """Return direction, patient's id, practitioner's id. If the direction is unknown, the ids that are known."""
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
    for reference in references:
        if reference.type == kind:
            return reference.id
    return None
