"""One entry becomes a Communication, or a Rejected with its reason; its content hash follows what it says."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.markup import unhurried
from worker.extract.content_hash import canonical_hash, hash_entry
from worker.extract.entry import ENTRY_BYTES_MAX, read_entry, read_resource
from worker.extract.roster import RosterEntry, read_practitioner
from worker.records import Communication, NonMatch, Quality, Reason, Reference, Rejected

RESOURCE: dict[str, Any] = {
    "resourceType": "Communication",
    "id": "7433b4b2-0d18-45ca-bb12-71105c80386b",
    "status": "unknown",
    "sent": "2021-03-21T10:46:17.032000+00:00",
    "received": "2021-03-22T10:46:17.032118+00:00",
    "recipient": [{"reference": "Patient/4c21512185184e579b09bfac16dfdd2f", "type": "Patient"}],
    "sender": {"reference": "Practitioner/4150cd20de8a470aa570a852859ac87e"},
    "payload": [{"contentString": "Good morning"}],
}
MANY = [{"k": "v"}] * 40


def read(entry: bytes) -> Communication | Rejected | NonMatch:
    return read_entry(entry, hash_entry(entry))


def communication(**changes: Any) -> Communication:
    """Return the Communication that the example is with `changes`; it must be one."""
    record = read(json.dumps({"resource": RESOURCE | changes}).encode())
    assert isinstance(record, Communication), record
    return record


def reason(**changes: Any) -> Reason:
    """Return why the example with `changes` is rejected; it must be."""
    record = read(json.dumps({"resource": RESOURCE | changes}).encode())
    assert isinstance(record, Rejected), record
    return record.reason


def test_the_documented_example_is_read() -> None:
    entry = json.dumps({"resource": RESOURCE}).encode()
    record = read(entry)
    assert record == Communication(
        id="7433b4b2-0d18-45ca-bb12-71105c80386b",
        status="unknown",
        sent=datetime(2021, 3, 21, 10, 46, 17, 32000, tzinfo=UTC),
        received=datetime(2021, 3, 22, 10, 46, 17, 32118, tzinfo=UTC),
        sender=Reference("Practitioner", "4150cd20de8a470aa570a852859ac87e"),
        recipients=(Reference("Patient", "4c21512185184e579b09bfac16dfdd2f"),),
        payloads=("Good morning",),
        resource=json.dumps(RESOURCE).encode(),
        raw_hash=hash_entry(entry),
        content_hash=canonical_hash(RESOURCE),
    )


def test_a_stored_resource_is_read_like_an_entry() -> None:
    entry = json.dumps({"resource": RESOURCE}).encode()
    from_entry = read(entry)
    assert isinstance(from_entry, Communication)
    again = read_resource(from_entry.resource)
    assert isinstance(again, Communication)
    assert again.content_hash == from_entry.content_hash
    assert again.payloads == from_entry.payloads


def test_a_bare_message_is_usable() -> None:
    record = read(b'{"resource": {"resourceType": "Communication", "id": "a"}}')
    assert isinstance(record, Communication)
    assert (record.sent, record.sender, record.recipients, record.payloads) == (None, None, (), ())


# What cannot be a row

REJECTED = [
    (b'{"search": {"mode": "match"}}', Reason.NO_RESOURCE),
    (b'{"resource": null}', Reason.NO_RESOURCE),
    (b'{"resource": "words"}', Reason.NO_RESOURCE),
    (b'{"resource": {"id": "a"}}', Reason.WRONG_RESOURCE_TYPE),
    (b'{"resource": {"resourceType": "Patient", "id": "a"}}', Reason.WRONG_RESOURCE_TYPE),
    (b'{"resource": {"resourceType": "Communication"}}', Reason.NO_ID),
    (b'{"resource": {"resourceType": "Communication", "id": null}}', Reason.NO_ID),
    (b'{"resource": {"resourceType": "Communication", "id": 101}}', Reason.IMPOSSIBLE_ID),
    (b'{"resource": {"resourceType": "Communication", "id": ""}}', Reason.IMPOSSIBLE_ID),
    (b'{"resource": {"resourceType": "Communication", "id": "a b"}}', Reason.IMPOSSIBLE_ID),
    (b'{"resource": {"resourceType": "Communication", "id": "a\\u0000"}}', Reason.IMPOSSIBLE_ID),
    (b'{"resource": {"resourceType": "Communication", "id": "' + b"a" * 65 + b'"}}', Reason.IMPOSSIBLE_ID),
    (b'{"search": "match"}', Reason.WRONG_FIELD_TYPE),
    (b'{"search": {"mode": 1}}', Reason.WRONG_FIELD_TYPE),
    (b"{", Reason.UNREADABLE_ENTRY),
    (b'{"resource": ' + b"[" * 65 + b"]" * 65 + b"}", Reason.NESTED_TOO_DEEP),
    (b'{"resource": "' + b" " * ENTRY_BYTES_MAX + b'"}', Reason.ENTRY_TOO_LARGE),
]


@pytest.mark.parametrize(("entry", "reason"), REJECTED, ids=lambda value: str(value)[:60])
def test_what_is_no_communication_is_rejected_whole(entry: bytes, reason: Reason) -> None:
    record = read(entry)
    assert isinstance(record, Rejected)
    assert record.reason is reason
    assert record.entry == entry


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"status": 1}, Reason.WRONG_FIELD_TYPE),
        ({"sent": 1616323577}, Reason.WRONG_FIELD_TYPE),
        ({"sender": "Patient/1"}, Reason.WRONG_FIELD_TYPE),
        ({"recipient": {"reference": "Patient/1"}}, Reason.WRONG_FIELD_TYPE),
        ({"payload": [{"contentString": 5}]}, Reason.WRONG_FIELD_TYPE),
        ({"sent": "yesterday"}, Reason.IMPOSSIBLE_DATE),
        ({"received": "2021-02-30T10:00:00Z"}, Reason.IMPOSSIBLE_DATE),
        ({"payload": [{"contentString": "a\u0000b"}]}, Reason.NUL_CHARACTER),
        ({"status": "\u0000"}, Reason.NUL_CHARACTER),
        ({"sender": {"reference": "urn:uuid:6f1f2a6e-7a2b-4c8e-9c6b-0f6a3c0d9b11"}}, Reason.UNPARSABLE_REFERENCE),
    ],
)
def test_a_field_that_cannot_be_stored_rejects_its_message_by_id(changes: dict[str, Any], expected: Reason) -> None:
    record = read(json.dumps({"resource": RESOURCE | changes}).encode())
    assert isinstance(record, Rejected)
    assert (record.reason, record.id) == (expected, RESOURCE["id"])


def test_lone_surrogates_and_pairs_are_told_apart() -> None:
    assert reason(payload=[{"contentString": "\ud83d broken"}]) is Reason.LONE_SURROGATE
    assert communication(payload=[{"contentString": "\U0001f600"}]).payloads == ("\U0001f600",)


def test_nesting_is_counted_outside_of_strings_and_up_to_64_levels() -> None:
    deep = b"[" * 63 + b"]" * 63
    entry = (
        b'{"resource": {"resourceType": "Communication", "id": "a", "note": "'
        + b"[{" * 100
        + b'"}, "x": '
        + deep
        + b"}"
    )
    assert isinstance(read(entry), Communication)
    assert communication(note=MANY).id == RESOURCE["id"]


@pytest.mark.parametrize("mode", ["include", "outcome"])
def test_what_is_no_match_is_set_aside_whatever_is_in_it(mode: str) -> None:
    entry = json.dumps({"resource": {"resourceType": "OperationOutcome"}, "search": {"mode": mode}}).encode()
    assert read(entry) == NonMatch(hash_entry(entry))


@pytest.mark.parametrize(
    ("severity", "code", "not_whole"),
    [
        ("information", "informational", False),
        ("warning", "not-supported", False),
        (None, None, False),
        ("error", "processing", True),
        ("fatal", None, True),
        ("warning", "incomplete", True),
        ("information", "timeout", True),
        ("warning", "throttled", True),
    ],
)
def test_a_source_may_say_that_its_answer_is_not_whole(
    severity: str | None, code: str | None, *, not_whole: bool
) -> None:
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": severity, "code": code}]}
    entry = json.dumps({"resource": outcome, "search": {"mode": "outcome"}}).encode()
    assert read(entry) == NonMatch(hash_entry(entry), not_whole)
    assert read_practitioner(entry) == RosterEntry(hash_entry(entry), non_match=True, not_whole=not_whole)
    another = {"resource": outcome | {"resourceType": "Patient"}, "search": {"mode": "include"}}
    assert read(json.dumps(another).encode()) == NonMatch(hash_entry(json.dumps(another).encode()))


def test_no_words_show_in_a_repr() -> None:
    assert "Good morning" not in repr(read(json.dumps({"resource": RESOURCE | {"sent": "never"}}).encode()))
    assert "yyy" not in repr(read(b'{"resource": "yyy"}'))


# Times


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2021-03-21T10:46:17Z", "2021-03-21T10:46:17"),
        ("2021-03-21T10:46:17-07:00", "2021-03-21T17:46:17"),
        ("2021-03-21T10:46:17.1+05:30", "2021-03-21T05:16:17.100000"),
        ("2021-03-21T10:46:17.123456789Z", "2021-03-21T10:46:17.123456"),
        ("2021-03-21T10:46:17.999999999Z", "2021-03-21T10:46:17.999999"),
        ("2021-03-21", "2021-03-21T00:00:00"),
        ("2021-03", "2021-03-01T00:00:00"),
        ("2021", "2021-01-01T00:00:00"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00"),
        ("2016-12-31T23:59:60.5Z", "2017-01-01T00:00:00.500000"),
        ("2017-01-01T00:59:60+01:00", "2017-01-01T00:00:00"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999"),
    ],
)
def test_fhir_date_times_are_instants_in_utc(text: str, instant: str) -> None:
    expected = datetime.fromisoformat(instant).replace(tzinfo=UTC)
    assert communication(sent=text).sent == expected
    assert communication(received=text).received == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2021-3-1",
        "2021-13-01",
        "2021-02-29",
        "2021-03-21T10:46:17",
        "2021-03-21T10:46:61Z",
        "2021-03-21T24:46:17Z",
        "2021-03-21T10:46:17.Z",
        "2021-03-21T10:46:17+25:00",
        "20210321",
        "202103",
        "2021-03-21\n",
        "2021-03-21 10:46:17",
        "2021-03-21T10:46",
        "2021-03-21T10Z",
        "2021-03-21T10:46:17 EST",
        "2021-03-21T10:46:17+1",
        "2021-03-21T10:46:17+01:60",
        "2021-03-21T24:00:01Z",
        "21-03-21T10:46:17Z",
        "21/03/2021 10:46:17Z",
        "9999-12-31T24:00:00Z",
        "0000-01-01",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "9999-12-31T23:59:60Z",
        "10000-01-01",
        "２０２１-03-21",
    ],
)
def test_what_names_no_instant_or_leaves_its_zone_open_is_rejected(text: str) -> None:
    assert reason(sent=text) is Reason.IMPOSSIBLE_DATE


@pytest.mark.parametrize(
    ("text", "fhir"),
    [
        ("2021-03-21T10:46:17+0000", "2021-03-21T10:46:17Z"),
        ("2021-03-21T10:46:17-0700", "2021-03-21T10:46:17-07:00"),
        ("2021-03-21T10:46:17+05", "2021-03-21T10:46:17+05:00"),
        ("2021-03-21T10:46Z", "2021-03-21T10:46:00Z"),
        ("2021-03-21T10:46+01:00", "2021-03-21T10:46:00+01:00"),
        ("2021-03-21 10:46:17Z", "2021-03-21T10:46:17Z"),
        ("2021-03-21t10:46:17z", "2021-03-21T10:46:17Z"),
        ("2021-03-21T10:46:17,25Z", "2021-03-21T10:46:17.25Z"),
        ("2021-03-21 10:46:17.123456+00", "2021-03-21T10:46:17.123456Z"),
        ("2021-03-21 10:46:17 +0000", "2021-03-21T10:46:17Z"),
        ("2021-03-21 10:46:17 UTC", "2021-03-21T10:46:17Z"),
        ("2021-03-21T10:46:17 GMT", "2021-03-21T10:46:17Z"),
        ("20210321T104617Z", "2021-03-21T10:46:17Z"),
        ("20210321T1046-0330", "2021-03-21T10:46:00-03:30"),
        (" 2021-03-21T10:46:17Z\n", "2021-03-21T10:46:17Z"),
        ("2021-03-21T24:00:00Z", "2021-03-22T00:00:00Z"),
        ("2016-12-31T23:59:60+0000", "2017-01-01T00:00:00Z"),
    ],
)
def test_a_date_that_names_one_instant_beyond_doubt_is_read_and_said_to_be_odd(text: str, fhir: str) -> None:
    """And whoever writes it as FHIR does another day says nothing new."""
    for field in ("sent", "received"):
        odd, right = communication(**{field: text}), communication(**{field: fhir})
        assert (odd.sent, odd.received) == (right.sent, right.received)
        assert odd.content_hash == right.content_hash
        assert (set(odd.quality), set(right.quality)) == ({Quality.ODD_DATE}, set())


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31)), st.integers(-14 * 60, 14 * 60))  # noqa: DTZ001 - naive
def test_an_instant_is_the_same_in_every_offset(at: datetime, offset_minutes: int) -> None:
    instant = at.replace(tzinfo=UTC)
    elsewhere = instant.astimezone(timezone(timedelta(minutes=offset_minutes)))
    written = communication(sent=elsewhere.isoformat())
    assert written.sent == instant
    assert written.sent.utcoffset() == timedelta(0)
    assert written.content_hash == communication(sent=instant.isoformat()).content_hash


# References


@pytest.mark.parametrize(
    ("text", "whom"),
    [
        ("Patient/4c21", Reference("Patient", "4c21")),
        ("Practitioner/a.b-c", Reference("Practitioner", "a.b-c")),
        ("https://fumage-acme.example.com/Patient/4c21", Reference("Patient", "4c21")),
        ("http://host:8080/r4/base/Patient/4c21", Reference("Patient", "4c21")),
        ("Patient/4c21/_history/2", Reference("Patient", "4c21")),
        ("https://host/Patient/4c21/_history/2", Reference("Patient", "4c21")),
        ("RelatedPerson/x", Reference("RelatedPerson", "x")),
        ("Group/x", Reference("Group", "x")),
    ],
)
def test_a_reference_names_a_type_and_an_id(text: str, whom: Reference) -> None:
    assert communication(sender={"reference": text}).sender == whom
    assert communication(recipient=[{"reference": text}, {"reference": text}]).recipients == (whom, whom)


@pytest.mark.parametrize(
    "text",
    [
        "urn:uuid:6f1f2a6e-7a2b-4c8e-9c6b-0f6a3c0d9b11",
        "urn:oid:1.2.3",
        "#contained",
        "",
        "Patient",
        "Patient/",
        "patient/4c21",
        "Patient/a b",
        "Patient/4c21?x=1",
        "/Patient/4c21",
        "ftp://host/Patient/4c21",
        "https://host/Patient?identifier=1",
        "Patient/4c21\u0000",
        "Patient/" + "a" * 65,
        "Patient/4c21/_history/",
    ],
)
def test_a_reference_that_names_nobody_we_can_read_is_unparsable(text: str) -> None:
    assert reason(sender={"reference": text}) is Reason.UNPARSABLE_REFERENCE
    assert reason(recipient=[{"reference": text}]) is Reason.UNPARSABLE_REFERENCE


def test_somebody_named_without_a_reference_is_nobody_to_search_for() -> None:
    """FHIR R4 §2.27: an identifier or a display may stand alone."""
    record = communication(sender={"display": "Dr. Who"}, recipient=[{"identifier": {"value": "1"}}])
    assert (record.sender, record.recipients) == (None, ())


# The content hash

scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=12)
values = st.recursive(scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=5), v, max_size=3))
resources = st.dictionaries(
    st.sampled_from(["id", "status", "payload", "sender", "recipient", "extension", "note", "subject", "category"]),
    values,
    max_size=6,
)


def reordered(value: Any) -> Any:
    """Return the same JSON with the keys of every object the other way round."""
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(value)}
    return [reordered(item) for item in value] if isinstance(value, list) else value


@unhurried
@given(resources, values, values)
def test_the_content_hash_ignores_key_order_meta_and_text(resource: dict[str, Any], meta: Any, text: Any) -> None:
    expected = canonical_hash(resource)
    assert canonical_hash(reordered(resource)) == expected
    assert canonical_hash({"meta": meta, **resource, "text": text}) == expected


@unhurried
@given(resources, resources)
def test_the_content_hash_follows_everything_else(one: dict[str, Any], other: dict[str, Any]) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (canonical_hash(one) == canonical_hash(other)) is same


@pytest.mark.parametrize("field", ["meta", "text"])
def test_only_the_resources_own_meta_and_text_are_ignored(field: str) -> None:
    resource = deepcopy(RESOURCE)
    resource["payload"][0][field] = "other"
    assert canonical_hash(resource) != canonical_hash(RESOURCE)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2021-03-21T10:46:17Z", "2021-03-21T10:46:17.000+00:00", True),
        ("2021-03-21T10:46:17Z", "2021-03-21T03:46:17-07:00", True),
        ("2021-03-21T10:46:17.123456Z", "2021-03-21T10:46:17.123457Z", False),
        ("2021-03-21T10:46:17Z", "2021-03-21T10:46:17-07:00", False),
        ("2021-03-21", "2021-03-21T00:00:00Z", False),
        ("2021-01", "2021-01-01", False),
        ("2021", "2021-01", False),
        ("nonsense", "Nonsense", False),
    ],
)
def test_the_content_hash_compares_instants_not_their_spelling(one: str, other: str, same: bool) -> None:
    for field in ("sent", "received"):
        hashes = {canonical_hash(RESOURCE | {field: text}) for text in (one, other)}
        assert (len(hashes) == 1) is same


def test_sent_and_received_are_not_mixed_up() -> None:
    one = RESOURCE | {"sent": "2021", "received": "2022"}
    assert canonical_hash(one) != canonical_hash(RESOURCE | {"sent": "2022", "received": "2021"})
