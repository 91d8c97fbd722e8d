"""Searches and their pages: parameters in, searchset Bundles out (Canvas's pagination page)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from worker.sandbox.messages import scattered
from worker.sandbox.refusals import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from worker.sandbox.population import Clinic

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


@dataclass(frozen=True, slots=True)
class Paging:
    """Which part of a result is asked for."""

    count: int
    offset: int


def read_paging(parameters: Parameters) -> Paging:
    """Read `_count` (capped, not refused, above 100) and `_offset`. Raises Refused 400."""
    given = dict(parameters)
    count = _whole_number(given.get("_count", str(COUNT_DEFAULT)), least=1)
    return Paging(min(count, COUNT_MAX), _whole_number(given.get("_offset", "0"), least=0))


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


def find_practitioners(clinic: Clinic, parameters: Parameters) -> list[str]:
    """Return practitioners' ids: by default of those active and schedulable only. Raises Refused 400."""
    given = dict(parameters)
    active = _true_or_false(given.get("active", "true"))
    everyone = _true_or_false(given.get("include-non-schedulable-practitioners", "false"))
    return [
        person.id
        for person in clinic.practitioners.values()
        if person.active == active and (everyone or person.schedulable) and given.get("_id", person.id) == person.id
    ]


def find_patients(clinic: Clinic, parameters: Parameters) -> list[str]:
    """Return patients' ids, active and inactive alike."""
    wanted = dict(parameters).get("_id")
    if wanted is None:
        return list(clinic.patients)
    return [wanted] if wanted in clinic.patients else []


def bundle(
    path: str,
    filters: Parameters,
    paging: Paging,
    found: Sequence[Any],
    render: Callable[[Any], dict[str, Any]],
) -> dict[str, Any]:
    """Return one page of a result as a searchset Bundle (FHIR R4 §3.1.1.5).

    `path` begins with a slash; `filters` go into the links as they came, percent-encoded; `render` makes a
    resource of one of `found`, for this page's only. An empty result has neither links nor entries.
    """
    total = len(found)
    page: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset", "total": total}
    if not total:
        return page

    query = "".join(f"{quote(name, safe='')}={quote(value, safe='')}&" for name, value in filters)

    def link(relation: str, offset: int) -> dict[str, str]:
        return {"relation": relation, "url": f"{path}?{query}_count={paging.count}&_offset={offset}"}

    after = paging.offset + paging.count
    page["link"] = [
        link("self", paging.offset),
        link("first", 0),
        *([link("next", after)] if after < total else []),
        link("last", (total - 1) // paging.count * paging.count),
    ]
    if shown := found[paging.offset : after]:
        page["entry"] = [{"resource": render(one)} for one in shown]
    return page


def filters_of(known: Sequence[str], parameters: Parameters) -> Parameters:
    """Return the parameters that filtered, in the order they came: what the links repeat."""
    return [(name, value) for name, value in parameters if name in known]


def _whole_number(text: str, *, least: int) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < least:
        raise Refused(400)
    return int(text)


def _true_or_false(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise Refused(400)
    return text.lower() == "true"
