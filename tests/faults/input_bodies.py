"""Malformed answers: what a search may be answered instead of a searchset Bundle, or as a strange one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.faults.input_entries import communication, cut_and_flipped, entry_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random


SOUND_ENTRIES = 3


def sound_body(name: str, practitioner: str) -> bytes:
    """Return a searchset Bundle of sound Communications."""
    made = [entry_of(communication(f"{name}-{number}", practitioner)) for number in range(SOUND_ENTRIES)]
    return bundle_of(made, total=SOUND_ENTRIES)


def bundle_of(entries: list[bytes], *, total: int, following: str | None = None) -> bytes:
    """Return a searchset Bundle with these bytes for entries."""
    link = [] if following is None else [{"relation": "next", "url": following}]
    head = json.dumps({"resourceType": "Bundle", "type": "searchset", "total": total, "link": link}).encode()
    return head[:-1] + b', "entry": [' + b",\n".join(entries) + b"]}"


# Replacements in a sound body of three entries.
_STRANGE: tuple[tuple[bytes, bytes], ...] = (
    (b'"total": 3', b'"total": "3"'),
    (b'"total": 3', b'"total": 3.0'),
    (b'"total": 3', b'"total": true'),
    (b'"total": 3', b'"total": null'),
    (b'"total": 3', b'"total": -3'),
    (b'"total": 3', b'"total": 2'),
    (b'"total": 3', b'"total": 4'),
    (b'"total": 3', b'"total": 1e400'),
    (b'"total": 3', b'"total": 3' + b"0" * 5000),
    (b'"total": 3', b'"total": 9223372036854775808'),
    (b'"total": 3', b'"total": 0, "total": 3'),
    (b'"total": 3, ', b""),
    (b'"Bundle"', b'"bundle"'),
    (b'"Bundle"', b'["Bundle"]'),
    (b'"resourceType": "Bundle", ', b""),
    (b'"searchset"', b'"history"'),
    (b'"type": "searchset", ', b""),
    (b'"link": []', b'"link": {}'),
    (b'"link": []', b'"link": "next"'),
    (b'"link": []', b'"link": null'),
    (b'"link": []', b'"link": [null]'),
    (b'"link": []', b'"link": [{"relation": "next"}]'),
    (b'"link": []', b'"link": [{"relation": "next", "url": ""}]'),
    (b'"link": []', b'"link": [{"relation": "next", "url": 7}]'),
    (b'"link": []', b'"link": [{"relation": "next", "url": "http://[::1"}]'),
    (b'"link": []', b'"link": [{"relation": "next", "url": "//elsewhere.invalid/x"}]'),
    (b'"link": []', b'"link": [{"relation": "next", "url": "/a"}, {"relation": "next", "url": "/b"}]'),
    (b'"entry": [', b'"entry": [], "entry": ['),
    (b'"entry": [', b'"Entry": ['),
    (b'"entry": [', b'"entry": [[], '),
    (b'"entry": [', b'"entry": ["]", '),
    (b'"entry": [', b'"entry": {"a": '),
    (b'"entry": [', b'"entry" : \n\t['),
    (b'"entry": [', b'"meta": {"entry": []}, "entry": ['),
    (b'"entry": [', b'"meta": NaN, "entry": ['),
    (b'"entry": [', b'"entry": [,'),
    (b"]}", b",]}"),
    (b"]}", b"]}]}"),
    (b"]}", b"]} trailing"),
)
_WHOLE = (
    *(b"", b" ", b"null", b"true", b"7", b'"Bundle"', b"[]", b"{}", b"\x00", b"\xff\xfe{\x00}\x00", b"<html></html>"),
    *(b'{"resourceType": "Bundle"}', b'{"resourceType": "Bundle", "type": "searchset", "entry": null, "total": 3}'),
    *(
        b'{"resourceType": "OperationOutcome"}',
        b'{"resourceType": "Bundle", "entry": 7}',
        b"[" * 100_000,
        b"{" * 100_000,
    ),
)


def strange_bodies(practitioners: Iterator[str], chance: Random, spoilt: int) -> dict[str, bytes]:
    """Return a body for each of some practitioners: all those above, and `spoilt` sound ones, spoilt by chance."""
    bodies = {}
    for old, new in _STRANGE:
        practitioner = next(practitioners)
        sound = sound_body(practitioner, practitioner)
        assert old in sound
        at = sound.rindex(old) if old == b"]}" else sound.index(old)
        bodies[practitioner] = sound[:at] + new + sound[at + len(old) :]
    for whole in _WHOLE:
        bodies[next(practitioners)] = whole
    practitioner = next(practitioners)
    bodies[practitioner] = b"\xef\xbb\xbf" + sound_body(practitioner, practitioner)
    practitioner = next(practitioners)
    bodies[practitioner] = sound_body(practitioner, practitioner).decode().encode("utf-16")
    for _ in range(spoilt):
        practitioner = next(practitioners)
        bodies[practitioner] = cut_and_flipped(sound_body(practitioner, practitioner), chance)
    return bodies
