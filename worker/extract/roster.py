"""Whom to search for: the Practitioner roster, and the patients. Pure decoding.

By default Canvas shows only active and schedulable practitioners. To see everyone, ask for the non-schedulable too,
once with `active=true` and once with `active=false` (Canvas, Practitioner search). Of patients only `id` is decoded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec

from worker.defects import guarded
from worker.extract.content_hash import hash_entry
from worker.extract.entry import Envelope
from worker.extract.operation_outcome import is_outcome, says_not_whole
from worker.records import FHIR_ID, Practitioner

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class RosterSearch:
    """A search for people: its resource and the parameters of its first request."""

    resource: str
    parameters: tuple[tuple[str, str], ...]

    def asked_for(self, practitioner: Practitioner) -> bool:
        """Tell whether the search asked for this practitioner; if not, the server ignored `active`.

        A practitioner without `active` is active (FHIR R4, Practitioner.active, "meaning if missing"). The resource
        does not say who is schedulable, so nobody can see whether the server ignored that parameter.
        """
        asked = dict(self.parameters).get("active")
        return asked is None or asked == ("false" if practitioner.active is False else "true")


PRACTITIONERS = tuple(
    RosterSearch("Practitioner", (("include-non-schedulable-practitioners", "true"), ("active", active)))
    for active in ("true", "false")
)
PATIENTS = RosterSearch("Patient", ())


class _Name(msgspec.Struct):
    text: str | None = None
    given: list[str] | None = None
    family: str | None = None


_NAMES = list[_Name] | None


class _Practitioner(msgspec.Struct):
    resourceType: Literal["Practitioner"]
    id: str
    active: bool | None = None
    name: object = None


class _Patient(msgspec.Struct):
    resourceType: Literal["Patient"]
    id: str


@dataclass(frozen=True, slots=True)
class RosterEntry:
    """One entry of a people search. `key` is its id, or its hash if it has none.

    `non_match` is whether it is no match (`search.mode` include or outcome) and does not count. `not_whole` is whether
    the source says by it that something is missing in the answer.
    """

    key: str | bytes
    id: str | None = None
    practitioner: Practitioner | None = None
    non_match: bool = False
    not_whole: bool = False


def read_practitioner(entry: bytes) -> RosterEntry:
    """Decode an entry of a Practitioner search: id, active and name."""
    return guarded(lambda: _read(entry, _Practitioner), lambda: RosterEntry(hash_entry(entry)))


def read_patient(entry: bytes) -> RosterEntry:
    """Decode an entry of a Patient search: its id and nothing else."""
    return guarded(lambda: _read(entry, _Patient), lambda: RosterEntry(hash_entry(entry)))


def everyone(listed: Iterable[Practitioner], seen: Iterable[str]) -> list[str]:
    """Return the ids to search for, sorted and distinct: those on the roster and those seen in messages."""
    return sorted({practitioner.id for practitioner in listed} | set(seen))


def _read(entry: bytes, kind: type[_Practitioner | _Patient]) -> RosterEntry:
    try:
        envelope = msgspec.json.decode(entry, type=Envelope)
        resource = bytes(envelope.resource)
        if envelope.is_non_match or is_outcome(resource):
            return RosterEntry(hash_entry(entry), non_match=True, not_whole=says_not_whole(resource))
        person = msgspec.json.decode(resource, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return RosterEntry(hash_entry(entry))
    if not FHIR_ID.fullmatch(person.id):
        return RosterEntry(hash_entry(entry))
    if isinstance(person, _Patient):
        return RosterEntry(person.id, person.id)
    return RosterEntry(person.id, person.id, Practitioner(person.id, person.active, _name(person.name)))


def _name(value: object) -> str | None:
    try:
        names = msgspec.convert(value, _NAMES)
    except msgspec.ValidationError:
        return None
    if not names:
        return None
    text = names[0].text or " ".join([*(names[0].given or ()), names[0].family or ""]).strip()
    return text.replace("\x00", "") or None
