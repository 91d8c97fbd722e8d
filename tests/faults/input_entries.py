"""Malformed entries of a searchset, written by hand or made by hypothesis, as bytes of a Bundle's `entry`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from random import Random

Resource = dict[str, Any]

FIELDS = (
    *("resourceType", "id", "status", "sent", "received", "sender", "recipient", "payload", "subject", "meta", "text"),
    *("sender.reference", "sender.type", "payload.0", "payload.0.contentString", "recipient.0.type", "language"),
)
DATES = (
    *("", "2024", "2024-02-30", "2024-13-01", "24-01-01", "2024-01-01T25:00:00Z", "2024-01-01T10:00:00", "tomorrow"),
    *(
        "2024-01-01T10:00Z",
        "2024-01-01T10:00:60Z",
        "0000-01-01",
        "9999-12-31T23:59:59-14:00",
        "2024-01-01T10:00:00+99:00",
    ),
    *("2024-01-01 10:00:00Z", "١٩٩٩-01-01", "2024-01-01T10:00:00.123456789Z", "-2024-01-01", "2024-1-1"),
)
REFERENCES = (
    *("", "Patient", "Patient/", "/", "Patient/a b", "Patient/ä", "patient/a", "#contained", "urn:uuid:0", "Group/g"),
    *(
        "https://elsewhere.example/Patient/p",
        "Patient/p/_history/1",
        "Patient/" + "x" * 65,
        "Patient/p\n",
        "//Patient/p",
    ),
)
TEXTS = (
    *(
        "",
        "\x00",
        "a\x00b",
        "\ud800",
        "\udfff\ud800",
        "\ufeff",
        "\u202e",
        "\x7f",
        "\x01\x02",
        "a" * 100_000,
        "<p>" * 5000,
    ),
    *("<script>alert(1)</script>", "&#0;&#x110000;&bogus;", "</" * 3000, "<table>" * 500, "\r\n\t ", "💩" * 1000),
)
ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    10**400,
    1.5e308,
    [],
    {},
    [[]],
    [None],
    {"": None},
    "",
    "x",
    [{}],
    {"reference": []},
)


def communication(name: str, practitioner: str) -> Resource:
    """Return a sound Communication to a practitioner."""
    return {
        "resourceType": "Communication",
        "id": name,
        "status": "unknown",
        "sent": "2023-05-04T10:00:00+00:00",
        "sender": {"reference": "Patient/p1", "type": "Patient"},
        "recipient": [{"reference": f"Practitioner/{practitioner}", "type": "Practitioner"}],
        "payload": [{"contentString": f"Made up for {name}."}],
    }


def entry_of(resource: Any) -> bytes:
    """Return the entry of a resource, whatever it is."""
    return json.dumps({"resource": resource}).encode()


def changed(resource: Resource, path: str, value: Any) -> Resource:
    """Return a copy in which the field at a dotted path holds something else."""
    copy = json.loads(json.dumps(resource))
    *way, last = path.split(".")
    place: Any = copy
    for step in way:
        place = place[int(step)] if isinstance(place, list) else place[step]
    if isinstance(place, list):
        place[int(last)] = value
    else:
        place[last] = value
    assert isinstance(copy, dict)
    return copy


def hand_made(name: str, practitioner: str) -> list[bytes]:
    """Return entries of valid JSON brackets, each wrong in its own way; names are made distinct from `name`."""
    numbers = iter(range(10_000))

    def fresh() -> Resource:
        return communication(f"{name}-{next(numbers)}", practitioner)

    values = [(path, value) for path in FIELDS for value in ODD if path not in {"recipient", "recipient.0.type"}]
    values += [(path, value) for path in ("sent", "received") for value in DATES]
    values += [("sender.reference", value) for value in REFERENCES]
    values += [(path, value) for path in ("payload.0.contentString", "status", "language") for value in TEXTS]
    entries = [entry_of(changed(fresh(), path, value)) for path, value in values]
    entries += [
        entry_of(changed(fresh(), "id", f"{word}{next(numbers)}")) for word in ("a b", "ä", "x" * 61, "a/", "\x00")
    ]
    entries += [_raw(fresh(), old, new) for old, new in _BROKEN]
    entries += [_whole(text, next(numbers)) for text in _WHOLE]
    return entries


# Replacements in the bytes of an entry that leave its brackets balanced, and what it says unreadable or strange.
_BROKEN: tuple[tuple[bytes, bytes], ...] = (
    (b'"unknown"', b"NaN"),
    (b'"unknown"', b"Infinity"),
    (b'"unknown"', b"1e999"),
    (b'"unknown"', b"01"),
    (b'"unknown"', b"tru"),
    (b'"unknown"', b'"\\ud800"'),
    (b'"unknown"', b'"\\udc00\\ud800"'),
    (b'"unknown"', b'"\\u0000"'),
    (b'"unknown"', b'"\\x41"'),
    (b'"unknown"', b'"\n"'),
    (b'"unknown"', b'"\x00"'),
    (b'"unknown"', b'"\xff\xfe"'),
    (b'"unknown"', b'"\xed\xa0\x80"'),
    (b'"unknown"', b'"\xc0\xaf"'),
    (b'"unknown"', b"'unknown'"),
    (b'"unknown"', b'"unknown",'),
    (b'"status":', b'"status"'),
    (b'"status": "unknown"', b'"status": "unknown", "status": 7'),
    (b'"status": "unknown"', b'"deep": ' + b"[" * 70 + b"]" * 70),
    (b'"status": "unknown"', b'"deep": ' + b'{"a":' * 5000 + b"1" + b"}" * 5000),
    (b'"status": "unknown"', b'"deep": ' + b"[" * 200_000 + b"]" * 200_000),
    (b'"resource"', b'"search": 7, "resource"'),
    (b'"resource"', b'"search": {"mode": 7}, "resource"'),
    (b'"resource"', b'"search": {"mode": "match"}, "resource"'),
    (b'"resource"', b'"search": {"mode": "include"}, "resource"'),
    (b'"resource"', b'"search": {"mode": "outcome"}, "resource"'),
    (b'"resource"', b'"Resource"'),
    (b'"resource"', b'"resource": 7, "resource"'),
    (b'"resource": {', b'"resource": {"id": "twice", '),
)
_WHOLE = (
    b"null",
    b"true",
    b"%d",
    b'"%d"',
    b"[%d]",
    b'{"n": %d}',
    b'{"resource": %d}',
    b'{"resource": [%d]}',
    b'{"resource": "%d"}',
)


def _raw(resource: Resource, old: bytes, new: bytes) -> bytes:
    entry = entry_of(resource)
    assert old in entry
    return entry.replace(old, new, 1)


def _whole(template: bytes, number: int) -> bytes:
    return template.replace(b"%d", b"%d" % number)


def hypothesis_made(number: int, random_seed: int, practitioner: str) -> list[bytes]:
    """Return entries that hypothesis makes of this seed: a Communication with some field being any JSON whatever."""
    text = st.text(st.characters(exclude_categories=()), max_size=20)
    numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    anything = st.recursive(
        st.none() | st.booleans() | numbers | text,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
        max_leaves=12,
    )
    path = st.sampled_from([field for field in FIELDS if not field.startswith("recipient")])
    made: list[bytes] = []

    @seed(random_seed)
    @settings(
        max_examples=number,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(st.tuples(path, anything), min_size=1, max_size=3))
    def make(changes: list[tuple[str, Any]]) -> None:
        resource = communication(f"made-{random_seed}-{len(made)}", practitioner)
        for where, value in changes:
            try:
                resource = changed(resource, where, value)
            except (KeyError, IndexError, TypeError, ValueError):
                continue  # what was to be changed is something else by now
        made.append(entry_of(resource))

    make()
    return made


def cut_and_flipped(body: bytes, chance: Random) -> bytes:
    """Return a body with some of its bytes changed, left out or put in, or its end cut off."""
    spoilt = bytearray(body)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(spoilt))
        match chance.randrange(4):
            case 0:
                spoilt[at] = chance.randrange(256)
            case 1:
                del spoilt[at : at + chance.randint(1, 30)]
            case 2:
                spoilt[at:at] = chance.choice((b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"\x00", b"\xff"))
            case _:
                del spoilt[max(at, len(spoilt) // 2) :]
        if not spoilt:
            break
    return bytes(spoilt)
