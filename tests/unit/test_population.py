"""The made-up clinic: the same for the same seed, of the shapes that Canvas's data has, and open to change."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.sandbox.messages import message_id, number_of
from worker.sandbox.people import make_patients, make_practitioners
from worker.sandbox.population import Clinic, Practitioner, Resource, make_clinic

if TYPE_CHECKING:
    from worker.sandbox.population import Edition

CUTOFF = datetime(2022, 10, 27, tzinfo=UTC)
BEFORE = "2022-10-27T00:00:00"  # instants are served in one form, so that they compare as text
AFTER = "2022-10-27T01:00:00"


def clinic_of(edition: Edition = "seed", seed: int = 3, messages: int = 4000) -> Clinic:
    return make_clinic(messages=messages, practitioners=20, patients=100, seed=seed, edition=edition)


@pytest.fixture(scope="module")
def older() -> list[Resource]:
    return list(clinic_of("seed"))


@pytest.fixture(scope="module")
def newer() -> list[Resource]:
    return list(clinic_of("current"))


def text_of(resource: Resource) -> str:
    text: str = resource["payload"][0]["contentString"]
    return text


def by_patient(resource: Resource) -> bool:
    reference: str = resource["sender"]["reference"]
    return reference.startswith("Patient/")


def test_same_seed_same_resources(older: list[Resource]) -> None:
    """Two clinics of one seed serve equal resources; those of another seed differ."""
    assert list(clinic_of()) == older
    assert sum(a == b for a, b in zip(clinic_of(seed=4), older, strict=True)) == 1  # the documented example


def test_a_message_is_the_same_in_any_order_of_asking(older: list[Resource]) -> None:
    """Rendering depends on the number alone, not on what was asked for before."""
    clinic = clinic_of()
    assert [clinic.resource(number) for number in reversed(range(4000))] == older[::-1]


def test_editions_differ_in_status_and_subject_only(older: list[Resource], newer: list[Resource]) -> None:
    """Both editions show the same messages; the older knows no status and no subject."""
    hidden = {"status", "subject"}
    for old, new in zip(older, newer, strict=True):
        assert {k: v for k, v in old.items() if k not in hidden} == {k: v for k, v in new.items() if k not in hidden}
    assert {one["status"] for one in older} == {"unknown"}
    assert not any("subject" in one for one in older)
    assert {one["status"] for one in newer[1:]} == {"completed", "preparation", "in-progress"}
    assert all(one["subject"]["reference"].startswith("Patient/") for one in newer[1:])


def test_every_message_has_one_patient_and_one_practitioner(older: list[Resource]) -> None:
    """One side is a patient, the other a practitioner, and both directions are common."""
    for one in older:
        [recipient] = one["recipient"]
        sides = {side["reference"].partition("/")[0]: side for side in (recipient, one["sender"])}
        assert sides.keys() == {"Patient", "Practitioner"}
        assert all(side.get("type", kind) == kind for kind, side in sides.items())
        assert all(re.fullmatch("[0-9a-f]{32}", side["reference"].partition("/")[2]) for side in sides.values())
    assert 0.3 < sum(map(by_patient, older)) / len(older) < 0.7
    assert any("type" not in one["sender"] for one in older)


def test_drafts_and_scheduled_messages_are_practitioners_and_unsent(newer: list[Resource]) -> None:
    """Only practitioners leave drafts and scheduled messages, and those have no `sent`; a few others have none too."""
    unsent = [one for one in newer if one["status"] in {"preparation", "in-progress"}]
    assert not any(map(by_patient, unsent))
    assert not any("sent" in one for one in unsent)
    assert any("sent" not in one and one["status"] == "completed" for one in newer)


def test_received_is_on_messages_that_practitioners_have_read(older: list[Resource]) -> None:
    """Most, not all, messages to practitioners have `received`; to patients only the documented example has."""
    assert [one["id"] for one in older if "received" in one and not by_patient(one)] == [message_id(3, 0)]
    read = sum("received" in one for one in older if by_patient(one))
    assert 0.7 < read / sum(map(by_patient, older)) < 0.95


def test_plain_before_the_cutoff_and_html_after(older: list[Resource]) -> None:
    """Markup before the cutoff is backdated and rare; after it all but some of the patients' messages are HTML."""
    markup = re.compile(r"<(p|br|div|table|ul)\b")
    before = [one for one in older if one.get("sent", AFTER) < BEFORE]
    backdated = [one for one in before if markup.search(text_of(one))]
    assert 0 < len(backdated) < len(before) / 50
    after = [one for one in older if one.get("sent", BEFORE) >= AFTER]
    bare = [one for one in after if not markup.search(text_of(one)) and "I took <2 pills & felt ok" in text_of(one)]
    assert bare
    assert all(map(by_patient, bare))
    assert any(BEFORE <= one.get("sent", "") < AFTER for one in older)
    assert any("<120/80" in text_of(one) for one in before)
    assert any("&lt;" in text_of(one) for one in after)


def test_sent_spreads_over_the_years(older: list[Resource]) -> None:
    """Every year from 2020 to 2025 has its share, and all instants are readable and in UTC."""
    sent = [datetime.fromisoformat(one["sent"]) for one in older if "sent" in one]
    assert all(one.tzinfo is not None and one.utcoffset() == CUTOFF.utcoffset() for one in sent)
    years = Counter(one.year for one in sent)
    assert all(years[year] > len(sent) / 12 for year in range(2020, 2026))


def test_some_practitioners_have_very_many_messages() -> None:
    """Messages spread as Zipf has it, and people whom searches hide by default are among the busiest."""
    clinic = clinic_of()
    counts = [
        len(clinic.search("sender", person.reference)) + len(clinic.search("recipient", person.reference))
        for person in clinic.practitioners.values()
    ]
    assert sum(counts) == 4000
    assert counts[0] > 5 * counts[-1]
    people = list(clinic.practitioners.values())
    assert not people[2].active
    assert not people[3].schedulable
    assert min(counts[2:4]) > 100


def test_bodies_average_about_400_characters(older: list[Resource]) -> None:
    """Bodies are as long as those that the mirror's speed is measured with."""
    assert 350 < sum(len(text_of(one)) for one in older) / len(older) < 450


def test_order_of_a_search_is_stable_and_not_of_time(older: list[Resource]) -> None:
    """The same search gives the same order, which is neither that of `sent` nor of numbers."""
    clinic = clinic_of()
    reference = next(iter(clinic.practitioners.values())).reference
    found = list(clinic.search("sender", reference))
    assert list(clinic_of().search("sender", reference)) == found != sorted(found)
    sent = [older[number].get("sent", "") for number in found]
    assert sent not in (sorted(sent), sorted(sent, reverse=True))


@given(seed=st.integers(0, 2**31), number=st.integers(0, 2**32 - 1))
def test_ids_lead_back_to_their_numbers(seed: int, number: int) -> None:
    """Every id is a dashed UUID and is found again without a table."""
    made = message_id(seed, number)
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", made)
    assert number_of(seed, made) == number
    assert number_of(seed, made.upper()) in {None, number if made == made.upper() else None}


@given(text=st.text(max_size=40))
def test_what_is_no_id_is_nobodys(text: str) -> None:
    """Any other text is nobody's id."""
    assert clinic_of(messages=1).number_of(text) is None


def test_put_adds_replaces_and_moves() -> None:
    """A put message is served and found; put again, with another recipient, it moves to that one's search."""
    clinic = clinic_of(messages=50)
    first, second = list(clinic.practitioners.values())[:2]
    patient = next(iter(clinic.patients.values()))
    message = {
        "resourceType": "Communication",
        "id": "made-by-hand",
        "sender": {"reference": patient.reference},
        "recipient": [{"reference": first.reference}],
    }
    number = clinic.put(message)
    assert clinic.message_count == 51
    assert clinic.resource(number) == message
    assert number in clinic.search("recipient", first.reference)
    assert list(clinic.search("_id", "made-by-hand")) == [number]

    moved = message | {"recipient": [{"reference": second.reference}]}
    assert clinic.put(moved) == number
    assert clinic.message_count == 51
    assert number not in clinic.search("recipient", first.reference)
    assert number in clinic.search("recipient", second.reference)
    assert list(clinic)[-1] == moved


def test_a_made_up_message_can_be_replaced_and_removed() -> None:
    """A made-up message keeps its place when replaced; removed, it is served nowhere, and can return."""
    clinic = clinic_of(messages=50)
    original = clinic.resource(7)
    changed = original | {"received": "2026-01-01T00:00:00+00:00"}
    assert clinic.put(changed) == 7
    assert clinic.resource(7) == changed
    clinic.remove(original["id"])
    assert clinic.message_count == 49
    assert original["id"] not in {one["id"] for one in clinic}
    assert not clinic.search("_id", original["id"])
    assert 7 not in clinic.search("sender", original["sender"]["reference"])
    with pytest.raises(KeyError):
        clinic.resource(7)
    with pytest.raises(KeyError):
        clinic.remove(original["id"])
    clinic.put(original)
    assert original in list(clinic)
    assert clinic.message_count == 50


@pytest.mark.parametrize(
    "broken",
    [
        {"resourceType": "Communication"},
        {"id": 5, "sender": "Patient/x", "recipient": "nobody"},
        {"id": "x", "sender": {"reference": None}, "recipient": [None, {"reference": 3}]},
    ],
)
def test_broken_messages_can_be_put(broken: Resource) -> None:
    """Whatever is put is served: the mirror's bad input is made this way."""
    clinic = clinic_of(messages=5)
    number = clinic.put(broken)
    assert clinic.resource(number) == broken
    assert clinic.message_count == 6


def test_people_can_be_hired_and_retired() -> None:
    """Hiring adds somebody; hiring the same id again replaces them, so that they can retire."""
    clinic = clinic_of(messages=5)
    clinic.practitioners["f" * 32] = Practitioner("f" * 32, "Oriel", "Larkmere")
    assert clinic.knows("Practitioner/" + "f" * 32)
    assert not clinic.knows("Patient/" + "f" * 32)
    clinic.practitioners["f" * 32] = Practitioner("f" * 32, "Oriel", "Larkmere", active=False)
    assert not clinic.practitioners["f" * 32].active
    assert len(clinic.practitioners) == 21


def test_a_clinic_that_is_to_be_filled_finds_nothing() -> None:
    """Tests begin with no made-up message at all, and put in their own."""
    practitioners, patients = make_practitioners(1, 1), make_patients(1, 1)
    clinic = Clinic(seed=1, edition="current", messages=0, practitioners=practitioners, patients=patients)
    assert list(clinic) == []
    assert not clinic.search("recipient", patients[0].reference)


@pytest.mark.parametrize("missing", ["messages", "practitioners", "patients"])
def test_an_empty_clinic_is_refused(missing: str) -> None:
    """There is no clinic without messages or people."""
    counts = {"messages": 1, "practitioners": 1, "patients": 1} | {missing: 0}
    with pytest.raises(ValueError, match="at least one"):
        make_clinic(**counts, seed=0, edition="seed")


def test_the_smallest_clinic_serves_the_documented_example() -> None:
    """One message is the documented one, of the two documented people."""
    clinic = make_clinic(messages=1, practitioners=1, patients=1)
    [only] = clinic
    assert only["id"] == "7433b4b2-0d18-45ca-bb12-71105c80386b"
    assert clinic.knows(only["sender"]["reference"])
    assert clinic.knows(only["recipient"][0]["reference"])
