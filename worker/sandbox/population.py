"""The made-up clinic: its people, its messages, and which of them a search finds."""

from __future__ import annotations

from array import array
from bisect import bisect_right, insort
from collections import defaultdict
from typing import TYPE_CHECKING

from worker.sandbox.messages import Edition, Resource, message_id, number_of, scattered, write_message
from worker.sandbox.people import Patient, Practitioner, make_patients, make_practitioners
from worker.sandbox.scripts import SCRIPTS
from worker.sandbox.threads import Thread, plan_threads

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Clinic", "Edition", "Patient", "Practitioner", "Resource", "make_clinic"]


def make_clinic(
    *, messages: int, practitioners: int = 60, patients: int = 2000, seed: int = 0, edition: Edition = "seed"
) -> Clinic:
    """Make a clinic, the same for the same arguments. Raises ValueError if one of the counts is below 1."""
    if min(messages, practitioners, patients) < 1:
        raise ValueError("a clinic has at least one message, one practitioner and one patient")
    return Clinic(
        seed=seed,
        edition=edition,
        messages=messages,
        practitioners=make_practitioners(seed, practitioners),
        patients=make_patients(seed, patients),
    )


class Clinic:
    """Messages by number: the made-up ones from 0, those put in later after them.

    A made-up message is rendered each time it is asked for; only the put ones are kept. For each person there
    are two lists of numbers, what they sent and what they received, in a fixed order that is not time's.
    """

    def __init__(
        self,
        *,
        seed: int,
        edition: Edition,
        messages: int,
        practitioners: list[Practitioner],
        patients: list[Patient],
    ) -> None:
        self.edition: Edition = edition
        self.practitioners = {practitioner.id: practitioner for practitioner in practitioners}
        self.patients = {patient.id: patient for patient in patients}
        self._seed = seed
        self._made_up = messages
        self._practitioner_at = practitioners
        self._patient_at = patients
        self._threads = plan_threads(seed, messages, len(practitioners), len(patients))
        self._put: dict[int, Resource] = {}
        self._put_numbers: dict[str, int] = {}
        self._removed: set[int] = set()
        self._next_number = messages
        self._lists: defaultdict[tuple[str, str], array[int]] = defaultdict(lambda: array("I"))
        self._fill_lists()

    @property
    def instance(self) -> str:
        """A name that no other clinic has: what `CANVAS_INSTANCE` is to be while this one is served."""
        people = f"{len(self._practitioner_at)}-{len(self._patient_at)}"
        return f"sandbox-{self.edition}-{self._made_up}-{people}-{self._seed}"

    @property
    def message_count(self) -> int:
        """How many Communications are served now."""
        return self._next_number - len(self._removed)

    def __iter__(self) -> Iterator[Resource]:
        """Yield every Communication served now, put ones included."""
        return (self.resource(number) for number in range(self._next_number) if number not in self._removed)

    def resource(self, number: int) -> Resource:
        """Return the Communication with this number. Raises KeyError if there is none (any more)."""
        if number in self._put:
            return self._put[number]
        if not 0 <= number < self._made_up or number in self._removed:
            raise KeyError(number)
        thread_number = bisect_right(self._threads, number, key=_first) - 1
        thread = self._threads[thread_number]
        return write_message(
            seed=self._seed,
            number=number,
            edition=self.edition,
            thread_number=thread_number,
            thread=thread,
            practitioner=self._practitioner_at[thread.practitioner],
            patient=self._patient_at[thread.patient],
        )

    def number_of(self, communication_id: str) -> int | None:
        """Return the number of the Communication with this id; None if there is none."""
        if communication_id in self._put_numbers:
            return self._put_numbers[communication_id]
        number = number_of(self._seed, communication_id)
        if number is None or number >= self._made_up or number in self._removed:
            return None
        return number

    def search(self, parameter: str, value: str) -> Sequence[int]:
        """Return the numbers of what a search finds, in the order it is served.

        `parameter` is `_id` with an id, or `recipient`, `sender` or `patient` (either of the two) with a
        relative reference.
        """
        if parameter == "_id":
            number = self.number_of(value)
            return () if number is None else (number,)
        if parameter == "patient":
            return sorted({*self.search("sender", value), *self.search("recipient", value)}, key=scattered)
        return self._lists.get((parameter, value), ())

    def put(self, resource: Resource) -> int:
        """Add a Communication, or replace the one with its id, and return its number.

        Nothing is checked, so that broken ones can be served too: a search finds it by whatever references it
        has.
        """
        communication_id = resource.get("id")
        number = self.number_of(communication_id) if isinstance(communication_id, str) else None
        if number is None:
            number = self._next_number
            self._next_number += 1
        else:
            self._take_from_lists(number)
        self._put[number] = resource
        if isinstance(communication_id, str):
            self._put_numbers[communication_id] = number
        for key in _keys(resource):
            insort(self._lists[key], number, key=scattered)
        return number

    def remove(self, communication_id: str) -> None:
        """Stop serving a Communication. Raises KeyError if there is none with this id."""
        number = self.number_of(communication_id)
        if number is None:
            raise KeyError(communication_id)
        self._take_from_lists(number)
        self._removed.add(number)
        self._put.pop(number, None)
        self._put_numbers.pop(communication_id, None)

    def knows(self, reference: str) -> bool:
        """Tell whether a relative reference names a patient or practitioner of this clinic."""
        kind, _, person_id = reference.partition("/")
        known = kind == "Patient" and person_id in self.patients
        return known or (kind == "Practitioner" and person_id in self.practitioners)

    def new_id(self) -> str:
        """Return an id for a Communication that is yet to be put in."""
        return message_id(self._seed, self._next_number)

    def _take_from_lists(self, number: int) -> None:
        for key in _keys(self.resource(number)):
            self._lists[key].remove(number)

    def _fill_lists(self) -> None:
        for thread in self._threads:
            practitioner = self._practitioner_at[thread.practitioner].reference
            patient = self._patient_at[thread.patient].reference
            to_practitioner = (
                self._lists["recipient", practitioner].append,
                self._lists["sender", patient].append,
            )
            to_patient = self._lists["recipient", patient].append, self._lists["sender", practitioner].append
            steps = SCRIPTS[thread.script]
            for position in range(thread.length):
                add_received, add_sent = to_practitioner if steps[position].by == "patient" else to_patient
                add_received(thread.first + position)
                add_sent(thread.first + position)
        for key, numbers in self._lists.items():
            self._lists[key] = array("I", sorted(numbers, key=scattered))


def _first(thread: Thread) -> int:
    return thread.first


def _keys(resource: Resource) -> set[tuple[str, str]]:
    """Return the lists that a Communication stands in; references that are none are left out."""
    recipients = resource.get("recipient")
    named = [("sender", resource.get("sender"))]
    named += [("recipient", recipient) for recipient in (recipients if isinstance(recipients, list) else [])]
    references = [(side, one.get("reference")) for side, one in named if isinstance(one, dict)]
    return {(side, reference) for side, reference in references if isinstance(reference, str)}
