"""The people of the made-up clinic and their FHIR resources."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from worker.sandbox.draw import Draw
from worker.sandbox.scripts import NAMES

# The two people of the example on Canvas's Communication page.
EXAMPLE_PATIENT = "4c21512185184e579b09bfac16dfdd2f"
EXAMPLE_PRACTITIONER = "4150cd20de8a470aa570a852859ac87e"


@dataclass(frozen=True, slots=True)
class Patient:
    """A patient; `id` is 32 hex digits."""

    id: str
    given: str
    family: str

    @property
    def reference(self) -> str:
        """The relative reference, `Patient/<id>`."""
        return f"Patient/{self.id}"

    def resource(self) -> dict[str, Any]:
        """Return the FHIR R4 Patient."""
        return {
            "resourceType": "Patient",
            "id": self.id,
            "active": True,
            "name": [_name(self.given, self.family)],
        }


@dataclass(frozen=True, slots=True)
class Practitioner:
    """A practitioner; `id` is 32 hex digits. `schedulable` decides what searches find but is not served."""

    id: str
    given: str
    family: str
    active: bool = True
    schedulable: bool = True

    @property
    def reference(self) -> str:
        """The relative reference, `Practitioner/<id>`."""
        return f"Practitioner/{self.id}"

    def resource(self) -> dict[str, Any]:
        """Return the FHIR R4 Practitioner."""
        name = _name(self.given, self.family)
        return {"resourceType": "Practitioner", "id": self.id, "active": self.active, "name": [name]}


def make_patients(seed: int, count: int) -> list[Patient]:
    """Make `count` patients; the first is the one of the documented example."""
    return [Patient(*_identity(seed, "patient", number, EXAMPLE_PATIENT)) for number in range(count)]


def make_practitioners(seed: int, count: int) -> list[Practitioner]:
    """Make `count` practitioners; the first is the one of the documented example.

    Every sixth is inactive and every fifth not schedulable, the third and the fourth first: the first few are
    the busiest.
    """
    return [
        Practitioner(
            *_identity(seed, "practitioner", number, EXAMPLE_PRACTITIONER),
            active=number % 6 != 2,
            schedulable=number % 5 != 3,
        )
        for number in range(count)
    ]


def _identity(seed: int, role: str, number: int, first_id: str) -> tuple[str, str, str]:
    draw = Draw(seed, role, number)
    given = draw.pick(NAMES["given"])
    family = draw.pick(NAMES["family_beginnings"]) + draw.pick(NAMES["family_endings"])
    return first_id if number == 0 else UUID(int=draw.below(2**128), version=4).hex, given, family


def _name(given: str, family: str) -> dict[str, Any]:
    return {"use": "usual", "text": f"{given} {family}", "family": family, "given": [given]}
