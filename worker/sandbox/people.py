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
class Person:
    """Somebody of the clinic; `id` is 32 hex digits."""

    id: str
    given: str
    family: str
    active: bool = True

    @property
    def reference(self) -> str:
        """The relative reference, such as `Patient/<id>`."""
        return f"{type(self).__name__}/{self.id}"

    def resource(self) -> dict[str, Any]:
        """Return the FHIR R4 resource."""
        name = {"use": "usual", "text": f"{self.given} {self.family}", "family": self.family, "given": [self.given]}
        return {"resourceType": type(self).__name__, "id": self.id, "active": self.active, "name": [name]}


class Patient(Person):
    """A patient."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Practitioner(Person):
    """A practitioner. `schedulable` decides which searches find them, and is not served."""

    schedulable: bool = True


def make_patients(seed: int, count: int) -> list[Patient]:
    """Make `count` patients; the first is the one of the documented example."""
    return [Patient(*_identity(seed, "patient", number, EXAMPLE_PATIENT)) for number in range(count)]


def make_practitioners(seed: int, count: int) -> list[Practitioner]:
    """Make `count` practitioners; the first is the one of the documented example.

    Every sixth is inactive, beginning with the third, and every fifth is not schedulable, beginning with the fourth, so
    that some of the busiest are.
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
