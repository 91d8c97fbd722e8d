"""One raw entry of a searchset Bundle → `Communication`, `Rejected` or `NonMatch`. Never raises.

An entry that cannot be a row becomes a value with a reason, so that it is counted, kept whole in quarantine, and stops
nothing.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Any

import msgspec

from worker.defects import guarded
from worker.extract.dates import Instant, read_instant
from worker.extract.ignored import without_ignored
from worker.extract.operation_outcome import is_outcome, says_not_whole
from worker.records import FHIR_ID, Communication, NonMatch, Quality, Reason, Reference, Rejected

ENTRY_BYTES_MAX = 32 * 1024 * 1024
NESTING_MAX = 64
HASH_BYTES = 16
PARTIAL_CODES = ("SUBSETTED", "REDACTED", "MASKED")

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


class _Entry(msgspec.Struct):
    resource: msgspec.Raw = msgspec.Raw()
    search: _Search | None = None


class _Named(msgspec.Struct):
    id: str


class _NamedEntry(msgspec.Struct):
    resource: _Named


class _Unusable(Exception):
    def __init__(self, reason: Reason, id: str | None = None) -> None:  # noqa: A002
        super().__init__(reason)
        self.reason = reason
        self.id = id


def hash_entry(entry: bytes) -> bytes:
    """Return the 16-byte BLAKE2b of an entry's bytes: equal bytes, unchanged entry."""
    return blake2b(entry, digest_size=HASH_BYTES).digest()


def read_entry(entry: bytes, raw_hash: bytes, ignored: tuple[str, ...] = ()) -> Communication | Rejected | NonMatch:
    """Decode one entry of a Communication search. `raw_hash` is its `hash_entry`.

    Parts that are `ignored` (see `worker.extract.ignored`) make no new version.
    """
    return guarded(
        lambda: _read_entry(entry, raw_hash, ignored),
        lambda: Rejected(Reason.DEFECT, guarded(lambda: _id_of(entry), lambda: None), entry, raw_hash),
    )


def read_resource(resource: bytes) -> Communication | Rejected:
    """Decode a stored resource as it was received, without its entry."""
    raw_hash = hash_entry(resource)
    return guarded(
        lambda: _read_resource(resource, raw_hash), lambda: Rejected(Reason.DEFECT, None, resource, raw_hash)
    )


def _read_entry(entry: bytes, raw_hash: bytes, ignored: tuple[str, ...]) -> Communication | Rejected | NonMatch:
    try:
        envelope = _envelope(entry)
        is_non_match = envelope.search is not None and envelope.search.mode in {"include", "outcome"}
        if is_non_match or is_outcome(envelope.resource):
            # In doubt the worse case counts: a walk that is not whole is repeated, and reported.
            return NonMatch(raw_hash, guarded(lambda: says_not_whole(envelope.resource), lambda: True))
        return _communication(bytes(envelope.resource), raw_hash, ignored)
    except _Unusable as unusable:
        return Rejected(unusable.reason, unusable.id, entry, raw_hash)


def _read_resource(resource: bytes, raw_hash: bytes) -> Communication | Rejected:
    try:
        _envelope(resource)
        return _communication(resource, raw_hash)
    except _Unusable as unusable:
        return Rejected(unusable.reason, unusable.id, resource, raw_hash)


def _id_of(entry: bytes) -> str | None:
    """Return the id of an entry that could not be decoded, with as little of our own code as possible."""
    try:
        message_id = msgspec.json.decode(entry, type=_NamedEntry).resource.id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return message_id if FHIR_ID.fullmatch(message_id) else None


def canonical_hash(resource: dict[str, Any], ignored: tuple[str, ...] = ()) -> bytes:
    """Return the 16-byte hash of what a resource says: sorted keys, no `meta`, no `text`, instants in UTC to the µs.

    Two renderings of one version have the same hash, so neither a new `meta.lastUpdated` nor another way to write the
    same instant makes a version. A partial version differs from a whole one.
    """
    said = {key: value for key, value in resource.items() if key not in {"meta", "text"}}
    if ignored:
        said = without_ignored(said, ignored)
    if _is_partial(resource):
        said["meta"] = "partial"
    for key in ("sent", "received"):
        instant = read_instant(said[key]) if isinstance(said.get(key), str) else None
        # A date without a time of day says less than the instant at which it begins, so it stays as it is.
        if instant is not None and instant.has_time:
            said[key] = instant.at.isoformat()
    return blake2b(msgspec.json.encode(said, order="sorted"), digest_size=HASH_BYTES).digest()


def _is_partial(resource: dict[str, Any]) -> bool:
    """Tell whether the source says that it left something out: by a tag, or a security label.

    FHIR R4 §3.1.1.5.9 (a summary is tagged SUBSETTED), §6.1.1 security labels; codes of v3-ObservationValue.
    """
    meta = resource.get("meta")
    if not isinstance(meta, dict) or not ("tag" in meta or "security" in meta):
        return False
    labels = (meta.get("tag"), meta.get("security"))
    codings = [coding for label in labels if isinstance(label, list) for coding in label]
    return any(isinstance(coding, dict) and coding.get("code") in PARTIAL_CODES for coding in codings)


def _envelope(entry: bytes) -> _Entry:
    if len(entry) > ENTRY_BYTES_MAX:
        raise _Unusable(Reason.ENTRY_TOO_LARGE)
    if _nesting(entry) > NESTING_MAX:
        raise _Unusable(Reason.NESTED_TOO_DEEP)
    if not entry.startswith(b"{"):
        raise _Unusable(Reason.NOT_AN_OBJECT)
    try:
        return msgspec.json.decode(entry, type=_Entry)
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


def _communication(resource: bytes, raw_hash: bytes, ignored: tuple[str, ...] = ()) -> Communication:
    if not resource:
        raise _Unusable(Reason.NO_RESOURCE)
    try:
        fields = msgspec.json.decode(resource)
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
        sent, received = _instant(typed.sent), _instant(typed.received)
        odd = (sent is not None and sent.odd) or (received is not None and received.odd)
        return Communication(
            id=identity,
            status=_clean(typed.status),
            sent=sent.at if sent else None,
            received=received.at if received else None,
            sender=_reference(typed.sender),
            recipients=tuple(r for r in map(_reference, typed.recipient or ()) if r is not None),
            payloads=tuple(_clean(payload.contentString) for payload in typed.payload or ()),
            resource=resource,
            raw_hash=raw_hash,
            content_hash=canonical_hash(fields, ignored),
            quality=frozenset(
                ({Quality.ODD_DATE} if odd else set()) | ({Quality.PARTIAL} if _is_partial(fields) else set())
            ),
        )
    except msgspec.ValidationError:
        raise _Unusable(Reason.WRONG_FIELD_TYPE, identity) from None
    except _Unusable as unusable:
        raise _Unusable(unusable.reason, identity) from None


def _identity(fields: dict[str, Any]) -> str | None:
    value = fields.get("id")
    return value if isinstance(value, str) and FHIR_ID.fullmatch(value) else None


def _clean(text: str | None) -> str | None:
    # PostgreSQL's text cannot hold U+0000 (every JSON decoder lets it pass).
    if text is not None and "\x00" in text:
        raise _Unusable(Reason.NUL_CHARACTER)
    return text


def _instant(text: str | None) -> Instant | None:
    if text is None:
        return None
    instant = read_instant(text)
    if instant is None:
        raise _Unusable(Reason.IMPOSSIBLE_DATE)
    return instant


def _reference(reference: _Reference | None) -> Reference | None:
    """Return whom a reference names; None if it names nobody by reference (FHIR R4 §2.27: an identifier or display)."""
    if reference is None or reference.reference is None:
        return None
    match = _REFERENCE.fullmatch(reference.reference)
    if match is None:
        raise _Unusable(Reason.UNPARSABLE_REFERENCE)
    return Reference(match["type"], match["id"])
