"""Searches and their pages: parameters in, searchset Bundles out (Canvas's pagination page)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from worker.sandbox.messages import scattered
from worker.sandbox.refusals import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from worker.sandbox.population import Clinic, Patient, Practitioner

T = TypeVar("T")
Parameters = list[tuple[str, str]]  # as they came, a name may come twice

COUNT_DEFAULT = 10
COUNT_MAX = 100

ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
REFERENCE = {
    "recipient": re.compile(r"(Patient|Practitioner)/[A-Za-z0-9.-]{1,64}"),
    "sender": re.compile(r"(Patient|Practitioner)/[A-Za-z0-9.-]{1,64}"),
    "patient": re.compile(r"Patient/[A-Za-z0-9.-]{1,64}"),
}
COMMUNICATION_PARAMETERS = {
    "seed": ("_id", "recipient", "sender"),
    "current": ("_id", "patient", "recipient", "sender"),
}
PRACTITIONER_PARAMETERS = ("_id", "active", "include-non-schedulable-practitioners")
PATIENT_PARAMETERS = ("_id",)


def find_communications(clinic: Clinic, parameters: Parameters) -> Sequence[int]:
    """Return the numbers of the messages that all filters find, in the order of the server.

    Parameters that the edition does not know are ignored (FHIR R4, Search, "Handling Errors"). Raises Refused 400 if no
    filter is left, or the value of one has the wrong shape.
    """
    known = COMMUNICATION_PARAMETERS[clinic.edition]
    filters = [(name, value) for name, value in parameters if name in known]
    if not filters or not all((REFERENCE.get(name) or ID).fullmatch(value) for name, value in filters):
        raise Refused(400)
    first, *others = [clinic.search(name, value) for name, value in filters]
    if not others:
        return first
    return sorted(set(first).intersection(*others), key=scattered)


def find_practitioners(clinic: Clinic, parameters: Parameters) -> list[Practitioner]:
    """Return practitioners, by default only those who are active and schedulable. Raises Refused 400."""
    given = dict(parameters)
    active = _true_or_false(given.get("active", "true"))
    everyone = _true_or_false(given.get("include-non-schedulable-practitioners", "false"))
    return [
        person
        for person in clinic.practitioners.values()
        if person.active == active and (everyone or person.schedulable) and given.get("_id", person.id) == person.id
    ]


def find_patients(clinic: Clinic, parameters: Parameters) -> list[Patient]:
    """Return patients, active and inactive alike."""
    wanted = dict(parameters).get("_id")
    if wanted is None:
        return list(clinic.patients.values())
    return [clinic.patients[wanted]] if wanted in clinic.patients else []


def bundle(
    path: str, known: Sequence[str], parameters: Parameters, found: Sequence[T], render: Callable[[T], dict[str, Any]]
) -> dict[str, Any]:
    """Return the page of a result that `_count` and `_offset` ask for, as a searchset Bundle (FHIR R4 §3.1.1.5).

    `path` begins with a slash. The links repeat the `known` parameters in the order they came. `render` makes a
    resource of one of `found`, and is called for this page only. An empty result has neither links nor entries. A
    `_count` above 100 counts as 100. Raises Refused 400.
    """
    given = dict(parameters)
    count = min(_whole_number(given.get("_count", str(COUNT_DEFAULT)), least=1), COUNT_MAX)
    offset = _whole_number(given.get("_offset", "0"), least=0)
    total = len(found)
    page: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset", "total": total}
    if not total:
        return page
    query = "".join(f"{quote(name, safe='')}={quote(value, safe='')}&" for name, value in parameters if name in known)
    offsets = {"self": offset, "first": 0, "next": offset + count, "last": (total - 1) // count * count}
    if offset + count >= total:
        del offsets["next"]
    page["link"] = [
        {"relation": relation, "url": f"{path}?{query}_count={count}&_offset={at}"} for relation, at in offsets.items()
    ]
    if shown := found[offset : offset + count]:
        page["entry"] = [{"resource": render(one)} for one in shown]
    return page


def _whole_number(text: str, *, least: int) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < least:
        raise Refused(400)
    return int(text)


def _true_or_false(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise Refused(400)
    return text.lower() == "true"
