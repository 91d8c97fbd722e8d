"""People are read for their ids; an entry that names nobody counts as one, so that nobody is missed unnoticed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.extract.content_hash import hash_entry
from worker.extract.roster import PATIENTS, PRACTITIONERS, RosterEntry, everyone, read_patient, read_practitioner
from worker.records import Practitioner

ID = "4150cd20de8a470aa570a852859ac87e"


def entry(mode: str | None = None, **resource: Any) -> bytes:
    return json.dumps({"resource": resource} | ({"search": {"mode": mode}} if mode else {})).encode()


def test_the_roster_is_asked_for_everybody() -> None:
    """Canvas hides the inactive and the non-schedulable unless asked."""
    assert [dict(search.parameters) for search in PRACTITIONERS] == [
        {"include-non-schedulable-practitioners": "true", "active": "true"},
        {"include-non-schedulable-practitioners": "true", "active": "false"},
    ]
    assert {search.resource for search in PRACTITIONERS} == {"Practitioner"}
    assert (PATIENTS.resource, PATIENTS.parameters) == ("Patient", ())


@pytest.mark.parametrize(
    ("says", "among_the_active", "among_the_inactive"), [(True, True, False), (False, False, True), (None, True, False)]
)
def test_somebody_is_active_or_not_and_active_if_nothing_is_said(
    says: bool | None, among_the_active: bool, among_the_inactive: bool
) -> None:
    """FHIR R4 on Practitioner.active: without a value the resource is assumed to be active."""
    active, inactive = PRACTITIONERS
    person = Practitioner(ID, says, None)
    assert (active.asked_for(person), inactive.asked_for(person)) == (among_the_active, among_the_inactive)
    assert PATIENTS.asked_for(person)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ([{"text": "Ada Larkin", "family": "Larkin"}], "Ada Larkin"),
        ([{"given": ["Ada", "M."], "family": "Larkin"}], "Ada M. Larkin"),
        ([{"family": "Larkin"}], "Larkin"),
        ([{"text": "Ada\u0000 Larkin"}], "Ada Larkin"),
        ([{}], None),
        ([], None),
        (None, None),
        ("Ada Larkin", None),
        ([{"given": "Ada"}], None),
    ],
)
def test_a_practitioners_name_is_taken_where_there_is_one(name: object, expected: str | None) -> None:
    found = read_practitioner(entry(resourceType="Practitioner", id=ID, active=True, name=name))
    assert found == RosterEntry(ID, ID, Practitioner(ID, True, expected))


@pytest.mark.parametrize(("more", "active"), [({}, None), ({"active": None}, None), ({"active": False}, False)])
def test_a_practitioner_may_not_say_whether_they_are_active(more: dict[str, Any], active: bool | None) -> None:
    found = read_practitioner(entry(resourceType="Practitioner", id=ID, **more))
    assert found.practitioner == Practitioner(ID, active)


def test_of_a_patient_only_the_id_is_decoded() -> None:
    found = read_patient(entry(resourceType="Patient", id=ID, name=5, active="perhaps", birthDate=[[]]))
    assert found == RosterEntry(ID, ID)


@pytest.mark.parametrize("read", [read_practitioner, read_patient])
@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"null",
        b"[1]",
        b"\xff",
        b"[" * 50_000,
        b'{"resource": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        b'{"resource": {"id": "\\ud800", "resourceType": "Patient"}}',
        entry(resourceType="Practitioner"),
        entry(resourceType="Patient", id=7),
        entry(resourceType="Practitioner", id="no id"),
        entry(resourceType="Patient", id=""),
        entry(resourceType="Group", id=ID),
        entry(id=ID),
    ],
)
def test_an_entry_that_names_nobody_counts_by_its_hash(read: Any, raw: bytes) -> None:
    assert read(raw) == RosterEntry(hash_entry(raw))


def test_a_patient_is_no_practitioner() -> None:
    assert read_practitioner(entry(resourceType="Patient", id=ID)).id is None
    assert read_patient(entry(resourceType="Practitioner", id=ID)).id is None


@pytest.mark.parametrize("read", [read_practitioner, read_patient])
@pytest.mark.parametrize("mode", ["include", "outcome"])
@pytest.mark.parametrize(
    "resource", [{"resourceType": "OperationOutcome", "issue": []}, {"resourceType": "Patient", "id": ID}]
)
def test_what_is_no_match_does_not_count(read: Any, mode: str, resource: dict[str, Any]) -> None:
    """A warning that a server adds to a page (FHIR R4 §3.1.1.5.3) has no id, and is nobody who would be missed."""
    raw = entry(mode, **resource)
    assert read(raw) == RosterEntry(hash_entry(raw), non_match=True)


@given(st.binary(max_size=100))
def test_any_bytes_are_an_entry(raw: bytes) -> None:
    assert read_practitioner(raw).key
    assert read_patient(raw).key


def test_everyone_is_the_roster_and_whoever_was_met_each_once() -> None:
    listed = [Practitioner("b", True), Practitioner("a", False), Practitioner("b", None)]
    assert everyone(listed, ["c", "a"]) == ["a", "b", "c"]
    assert everyone([], []) == []
