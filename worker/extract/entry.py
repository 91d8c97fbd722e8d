"""One raw entry of a searchset Bundle → `Communication`, `Rejected` or `NonMatch`. Never raises.

An entry that cannot be a row becomes a value with a reason, so that it is counted, kept whole in quarantine, and stops
nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from worker.defects import guarded
from worker.extract.content_hash import canonical_hash, hash_entry, is_partial
from worker.extract.dates import read_instant
from worker.extract.operation_outcome import is_outcome, says_not_whole
from worker.records import FHIR_ID, Communication, NonMatch, Quality, Reason, Reference, Rejected

if TYPE_CHECKING:
    from datetime import datetime

ENTRY_BYTES_MAX = 32 * 1024 * 1024
NESTING_MAX = 64

# The forms of a literal reference (FHIR R4 §2.3.0.1).
_REFERENCE = re.compile(
    r"(?:https?://[^\s?#]+/)?(?P<type>[A-Z][A-Za-z]{1,63})/(?P<id>[A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?"
)
# Possessive, and up to the end of an unfinished entry, so that time and memory stay linear whatever a source sends.
_JSON_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")


class _Reference(msgspec.Struct):
    reference: str | None = None
    type: str | None = None


class _Payload(msgspec.Struct):
    contentString: str | None = None


class _Communication(msgspec.Struct):
    status: str | None = None
    sent: str | None = None
    received: str | None = None
    sender: _Reference | None = None
    recipient: list[_Reference] | None = None
    payload: list[_Payload] | None = None


class _Search(msgspec.Struct):
    mode: str | None = None


class Envelope(msgspec.Struct):
    """An entry of a searchset, its resource not yet decoded (FHIR R4 §2.36)."""

    resource: msgspec.Raw = msgspec.Raw()
    search: _Search | None = None

    @property
    def is_non_match(self) -> bool:
        """Whether the source itself says that the entry is no match (FHIR R4 §3.1.1.5.3)."""
        return self.search is not None and self.search.mode in {"include", "outcome"}


class _Named(msgspec.Struct):
    id: str


class _NamedEntry(msgspec.Struct):
    resource: _Named


_ENVELOPE = msgspec.json.Decoder(Envelope)
_JSON = msgspec.json.Decoder()


class _Unusable(Exception):
    def __init__(self, reason: Reason, id: str | None = None) -> None:  # noqa: A002
        super().__init__(reason)
        self.reason = reason
        self.id = id


def read_entry(entry: bytes, raw_hash: bytes, ignored: tuple[str, ...] = ()) -> Communication | Rejected | NonMatch:
    """Decode one entry of a Communication search. `raw_hash` is its `hash_entry`.

    Parts that are `ignored` (see `worker.extract.ignored`) make no new version.
    """
    return guarded(
        lambda: _read_entry(entry, raw_hash, ignored),
        lambda: Rejected(Reason.DEFECT, guarded(lambda: _id_of(entry), lambda: None), entry, raw_hash),
    )


def read_resource(resource: bytes, content_hash: bytes | None = None) -> Communication | Rejected:
    """Decode a stored resource as it was received, without its entry.

    With the `content_hash` that it is stored under it stays that version, even if hashes are made otherwise today.
    """
    raw_hash = hash_entry(resource)
    return guarded(
        lambda: _read_resource(resource, raw_hash, content_hash),
        lambda: Rejected(Reason.DEFECT, None, resource, raw_hash),
    )


def _read_entry(entry: bytes, raw_hash: bytes, ignored: tuple[str, ...]) -> Communication | Rejected | NonMatch:
    try:
        envelope = _envelope(entry)
        resource = bytes(envelope.resource)
        if envelope.is_non_match or is_outcome(resource):
            # In doubt the worse case counts: a walk that is not whole is repeated, and reported.
            return NonMatch(raw_hash, guarded(lambda: says_not_whole(resource), lambda: True))
        return _communication(resource, raw_hash, ignored=ignored)
    except _Unusable as unusable:
        return Rejected(unusable.reason, unusable.id, entry, raw_hash)


def _read_resource(resource: bytes, raw_hash: bytes, content_hash: bytes | None) -> Communication | Rejected:
    try:
        _envelope(resource)
        return _communication(resource, raw_hash, content_hash)
    except _Unusable as unusable:
        return Rejected(unusable.reason, unusable.id, resource, raw_hash)


def _id_of(entry: bytes) -> str | None:
    """Return the id of an entry that could not be decoded, with as little of our own code as possible."""
    try:
        message_id = msgspec.json.decode(entry, type=_NamedEntry).resource.id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return message_id if FHIR_ID.fullmatch(message_id) else None


def _envelope(entry: bytes) -> Envelope:
    if len(entry) > ENTRY_BYTES_MAX:
        raise _Unusable(Reason.ENTRY_TOO_LARGE)
    if _nesting(entry) > NESTING_MAX:
        raise _Unusable(Reason.NESTED_TOO_DEEP)
    if not entry.startswith(b"{"):
        raise _Unusable(Reason.NOT_AN_OBJECT)
    try:
        return _ENVELOPE.decode(entry)
    except msgspec.ValidationError:
        raise _Unusable(Reason.WRONG_FIELD_TYPE) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _Unusable(_unreadable(entry)) from None


def _nesting(entry: bytes) -> int:
    if entry.count(b"{") + entry.count(b"[") <= NESTING_MAX:
        return 0
    depth = deepest = 0
    for byte in _JSON_STRING.sub(b"", entry):
        if byte in b"{[":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"}]":
            depth -= 1
    return deepest


def _unreadable(entry: bytes) -> Reason:
    return Reason.LONE_SURROGATE if _SURROGATE_ESCAPE.search(entry) else Reason.UNREADABLE_ENTRY


def _communication(
    resource: bytes, raw_hash: bytes, content_hash: bytes | None = None, *, ignored: tuple[str, ...] = ()
) -> Communication:
    if not resource:
        raise _Unusable(Reason.NO_RESOURCE)
    try:
        fields = _JSON.decode(resource)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _Unusable(_unreadable(resource)) from None
    if not isinstance(fields, dict):
        raise _Unusable(Reason.NO_RESOURCE)
    identity = _identity(fields)
    if fields.get("resourceType") != "Communication":
        raise _Unusable(Reason.WRONG_RESOURCE_TYPE, identity)
    if identity is None:
        raise _Unusable(Reason.NO_ID if fields.get("id") is None else Reason.IMPOSSIBLE_ID)
    try:
        typed = msgspec.convert(fields, _Communication)
        sent, is_sent_odd = _instant(typed.sent)
        received, is_received_odd = _instant(typed.received)
        return Communication(
            identity,
            _clean(typed.status),
            sent,
            received,
            _reference(typed.sender),
            tuple([r for r in map(_reference, typed.recipient or ()) if r is not None]),
            tuple([_clean(payload.contentString) for payload in typed.payload or ()]),
            resource,
            raw_hash,
            content_hash or canonical_hash(fields, ignored),
            _quality(fields, is_odd=is_sent_odd or is_received_odd),
        )
    except msgspec.ValidationError:
        raise _Unusable(Reason.WRONG_FIELD_TYPE, identity) from None
    except _Unusable as unusable:
        raise _Unusable(unusable.reason, identity) from None


def _quality(fields: dict[str, Any], *, is_odd: bool) -> frozenset[Quality]:
    found = {Quality.ODD_DATE} if is_odd else set()
    return frozenset(found | {Quality.PARTIAL} if is_partial(fields) else found)


def _identity(fields: dict[str, Any]) -> str | None:
    value = fields.get("id")
    return value if isinstance(value, str) and FHIR_ID.fullmatch(value) else None


def _clean(text: str | None) -> str | None:
    # PostgreSQL's text cannot hold U+0000 (every JSON decoder lets it pass).
    if text is not None and "\x00" in text:
        raise _Unusable(Reason.NUL_CHARACTER)
    return text


def _instant(text: str | None) -> tuple[datetime | None, bool]:
    """Return the instant that a date names, and whether it is written in an odd way."""
    if text is None:
        return None, False
    instant = read_instant(text)
    if instant is None:
        raise _Unusable(Reason.IMPOSSIBLE_DATE)
    return instant.at, instant.odd


def _reference(reference: _Reference | None) -> Reference | None:
    """Return whom a reference names; None if it names nobody by reference (FHIR R4 §2.27: an identifier or display)."""
    if reference is None or reference.reference is None:
        return None
    match = _REFERENCE.fullmatch(reference.reference)
    if match is None:
        raise _Unusable(Reason.UNPARSABLE_REFERENCE)
    return Reference(match["type"], match["id"])
