"""Pages are decoded whole or refused in one word, and no entry of a page is lost on the way."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.markup import unhurried
from worker.errors import PageFailed
from worker.extract.bundle import decode_page
from worker.extract.content_hash import hash_entry
from worker.extract.entry import read_entry
from worker.records import Communication, NonMatch, Page, Reason, Rejected

URL = "https://fhir.example.com/Communication?_count=100"

# What a JSON decoder may choke on inside an entry, which must then fail that entry alone.
UNREADABLE = [
    pytest.param(b'{"resource": {"id": "\\ud83d"}}', Reason.LONE_SURROGATE, id="lone high surrogate"),
    pytest.param(b'{"resource": {"id": "\\udc00 x"}}', Reason.LONE_SURROGATE, id="lone low surrogate"),
    pytest.param(b'{"resource": {"id": "\xff\xfe"}}', Reason.UNREADABLE_ENTRY, id="invalid UTF-8"),
    pytest.param(b'{"resource": {"id": "a", "n": 01}}', Reason.UNREADABLE_ENTRY, id="a number that is none"),
    pytest.param(b'{"resource": {"id": "tab\there"}}', Reason.UNREADABLE_ENTRY, id="a raw control character"),
    pytest.param(b'{"resource": {"id": NaN}}', Reason.UNREADABLE_ENTRY, id="NaN"),
    pytest.param(b'{"resource": ' + b"[" * 3000 + b"]" * 3000 + b"}", Reason.NESTED_TOO_DEEP, id="nested deep"),
    pytest.param(b'{"resource": ' + b'{"a":' * 200 + b"1" + b"}" * 200 + b"}", Reason.NESTED_TOO_DEEP, id="nested"),
    pytest.param(b'"just words"', Reason.NOT_AN_OBJECT, id="a string"),
    pytest.param(b"null", Reason.NOT_AN_OBJECT, id="null"),
    pytest.param(b"[]", Reason.NOT_AN_OBJECT, id="a list"),
]
GOOD = b'{"resource": {"resourceType": "Communication", "id": "good", "note": "brackets ]}, \\" and commas"}}'

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
# Text with brackets and quotes, and with unpaired surrogates, which JSON can write and UTF-8 cannot.
any_text = st.text(st.characters() | st.sampled_from('[]{},:"\\') | st.characters(categories=["Cs"]), max_size=20)
any_resources = st.fixed_dictionaries(
    {},
    optional={
        "resourceType": st.sampled_from(["Communication", "Patient"]) | json_values,
        "id": st.from_regex(r"[A-Za-z0-9\-.]{1,64}", fullmatch=True) | any_text | json_values,
        "sent": st.datetimes().map(lambda at: at.isoformat() + "Z") | any_text | json_values,
        "recipient": st.lists(st.fixed_dictionaries({"reference": any_text | st.just("Patient/1")})) | json_values,
        "sender": st.fixed_dictionaries({"reference": st.just("Practitioner/2")}) | json_values,
        "payload": st.lists(st.fixed_dictionaries({"contentString": any_text})) | json_values,
    },
)
any_entries = json_values | st.fixed_dictionaries(
    {"resource": any_resources | json_values},
    optional={
        "search": st.fixed_dictionaries({"mode": st.sampled_from(["match", "include", "outcome", "?"])}) | json_values
    },
)


def bundle(entries: list[bytes], **fields: Any) -> bytes:
    envelope = {"resourceType": "Bundle", "type": "searchset", "total": len(entries), **fields}
    return json.dumps(envelope).encode()[:-1] + b', "entry": [' + b", ".join(entries) + b"]}"


def reason_of(body: bytes) -> str:
    with pytest.raises(PageFailed) as failed:
        decode_page(body, URL)
    return failed.value.reason


def test_a_page_keeps_its_entries_as_they_were_sent() -> None:
    entries = [b'{"fullUrl" : "x",  "resource": {}}', GOOD, b"{}"]
    link = [{"relation": "self", "url": "a"}, {"relation": "next", "url": "/Communication?_offset=10"}]
    page = decode_page(bundle(entries, total=31, link=link), URL)
    assert page == Page(URL, 31, tuple(entries), "/Communication?_offset=10")


@pytest.mark.parametrize(("entry", "reason"), UNREADABLE)
def test_an_entry_that_cannot_be_decoded_fails_alone(entry: bytes, reason: Reason) -> None:
    page = decode_page(bundle([GOOD, entry, GOOD]), URL)
    assert page.entries == (GOOD, entry, GOOD)
    assert page.total == 3
    records = [read_entry(one, hash_entry(one)) for one in page.entries]
    assert isinstance(records[0], Communication)
    assert records[1] == Rejected(reason, None, entry, hash_entry(entry))
    assert isinstance(records[2], Communication)


@pytest.mark.parametrize(("entry", "_reason"), UNREADABLE)
def test_what_stands_around_an_undecodable_entry_counts(entry: bytes, _reason: Reason) -> None:
    """`next` and `total` may come after the entries, and words like them inside of them."""
    decoy = b'{"entry": [1, 2], "link": "next", "total": 7, "text": "\\"entry\\": ["}'
    body = (
        b'{"resourceType": "Bundle", "note": "entry", "entry"\n:\t[ '
        + b" , ".join([decoy, entry, decoy])
        + b' ], "total": 3, "link": [{"relation": "next", "url": "/n"}]}'
    )
    page = decode_page(body, URL)
    assert page.entries == (decoy, entry, decoy)
    assert (page.total, page.next_url) == (3, "/n")


@unhurried
@given(st.lists(any_entries, max_size=8))
def test_as_many_values_come_out_as_entries_went_in(values: list[Any]) -> None:
    """Whatever an entry is, it is a Communication, a Rejected or an NonMatch; none is lost, none raises."""
    entries = [json.dumps(value).encode() for value in values]
    page = decode_page(bundle(entries), URL)
    assert list(page.entries) == entries
    records = [read_entry(entry, hash_entry(entry)) for entry in page.entries]
    assert len(records) == len(values)
    for record, entry in zip(records, entries, strict=True):
        assert isinstance(record, (Communication, Rejected, NonMatch))
        assert record.raw_hash == hash_entry(entry)
        if isinstance(record, Rejected):
            assert record.entry == entry


@unhurried
@given(st.lists(any_entries, min_size=1, max_size=5), st.data())
def test_a_spoilt_body_fails_its_page_or_is_read_and_never_raises_anything_else(
    values: list[Any], data: st.DataObject
) -> None:
    body = bytearray(bundle([json.dumps(value).encode() for value in values], link=[{"relation": "next", "url": "/n"}]))
    place = data.draw(st.integers(0, len(body)))
    taken = data.draw(st.integers(0, 6))
    body[place : place + taken] = data.draw(
        st.binary(max_size=6) | st.sampled_from([b"]", b"}", b'"', b"\\", b"{", b","])
    )
    try:
        entries = decode_page(bytes(body), URL).entries
    except PageFailed:
        entries = ()
    for entry in entries:
        assert isinstance(read_entry(entry, hash_entry(entry)), (Communication, Rejected, NonMatch))


@given(st.binary(max_size=200))
def test_any_bytes_fail_in_a_word(body: bytes) -> None:
    assert reason_of(body) in {"not_json", "not_a_bundle"}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not_json"),
        (b"<!doctype html><html><body>Bad gateway</body></html>", "not_json"),
        (bundle([GOOD]) + b" trailing junk", "not_json"),
        (bundle([GOOD]) + bundle([GOOD]), "not_json"),
        (bundle([GOOD])[:-1], "not_json"),
        (bundle([GOOD, GOOD])[:-20], "not_json"),
        (b"[" * 100_000, "not_json"),
        (b"null", "not_json"),
        (b"[]", "not_json"),
        (b"{}", "not_a_bundle"),
        (b'{"resourceType": "Patient"}', "not_a_bundle"),
        (b'{"resourceType": "Bundle", "type": "transaction"}', "not_a_bundle"),
        (b'{"resourceType": "OperationOutcome", "issue": []}', "operation_outcome"),
        (bundle([], link=[{"relation": "next", "url": ""}]), "bad_link"),
        (bundle([], link=[{"relation": "next"}]), "bad_link"),
        (bundle([], link=[{"relation": "next", "url": "/a"}, {"relation": "next", "url": "/b"}]), "bad_link"),
        (bundle([], link=[{"relation": "next", "url": ["/a"]}]), "bad_link"),
        (bundle([], link=[{"relation": "next", "url": "/a"}, {"relation": "next"}]), "bad_link"),
        (bundle([], link={"relation": "next", "url": "/a"}), "bad_link"),
    ],
)
def test_what_is_no_searchset_is_refused(body: bytes, reason: str) -> None:
    assert reason_of(body) == reason


def test_a_refusal_quotes_nothing_of_the_body() -> None:
    with pytest.raises(PageFailed) as failed:
        decode_page(b'{"resourceType": "my chest hurts"', URL)
    assert "chest" not in f"{failed.value!r} {failed.value.what}"


@pytest.mark.parametrize("entry", [{}, {"entry": None}, {"entry": []}])
def test_a_page_may_have_no_entries_and_no_links(entry: dict[str, Any]) -> None:
    body = json.dumps({"resourceType": "Bundle", "type": "searchset", "total": 0, **entry}).encode()
    assert decode_page(body, URL) == Page(URL, 0, (), None)


@pytest.mark.parametrize("total", [None, "twelve", "", "-1", "1.5", -1, 1.5, True, [], {}, 2**31, 2**63, 2**64, 10**30])
def test_a_total_that_is_no_count_is_none(total: object) -> None:
    assert decode_page(bundle([], total=total), URL).total is None


@pytest.mark.parametrize("total", [12, 12.0, "12", " 12 "])
def test_a_total_in_any_spelling_that_names_one_number_is_that_number(total: object) -> None:
    assert decode_page(bundle([], total=total), URL).total == 12


def test_the_largest_total_that_fhir_has_is_one() -> None:
    assert decode_page(bundle([], total=2**31 - 1), URL).total == 2**31 - 1


def test_the_same_next_link_twice_is_one() -> None:
    link = [{"relation": "next", "url": "/a"}, {"relation": "next", "url": "/a"}]
    assert decode_page(bundle([], link=link), URL).next_url == "/a"


def test_what_is_odd_about_other_links_fails_no_page() -> None:
    odd = [
        None,
        5,
        {},
        {"url": "/a"},
        {"relation": None},
        {"relation": ["next"], "url": 5},
        {"relation": "self", "url": 5},
    ]
    assert decode_page(bundle([], link=odd), URL).next_url is None
    assert decode_page(bundle([], link=[*odd, {"relation": "next", "url": "/a"}]), URL).next_url == "/a"


def test_a_long_string_costs_no_more_than_its_length() -> None:
    """A regular expression that could backtrack would take gigabytes for the first body and hours for the second."""
    long = b'{"resource": {"id": "\\ud83d", "text": "' + b"so \\n" * 1_000_000 + b'"}}'
    assert decode_page(bundle([long]), URL).entries == (long,)
    assert reason_of(b'{"entry": ["' + b'\\"' * 1_000_000) == "not_json"


def test_entries_that_decode_are_cut_as_they_are_decoded() -> None:
    """The two ways to the entries agree: the decoder's, and the one by brackets that a bad neighbour asks for."""
    entries = [GOOD, b'{"a": [1, {"b": "]"}]}', b"  7 ", b'"s"', b"{}"]
    plain = decode_page(bundle(entries), URL).entries
    cut = decode_page(bundle([*entries, b'"\\ud800"']), URL).entries
    assert [msgspec.json.decode(one) for one in plain] == [msgspec.json.decode(one) for one in cut[:-1]]
    assert [one.strip() for one in plain] == list(cut[:-1])
