"""What a resource says, as a hash: two answers with the same hash show the same version of a message. Pure."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import msgspec

from worker.extract.dates import read_instant
from worker.extract.ignored import without_ignored

if TYPE_CHECKING:
    from collections.abc import Mapping

HASH_BYTES = 16
PARTIAL_CODES = ("SUBSETTED", "REDACTED", "MASKED")
_SORTED = msgspec.json.Encoder(order="sorted")


def hash_entry(entry: bytes) -> bytes:
    """Return the 16-byte BLAKE2b of an entry's bytes: equal bytes, unchanged entry."""
    return blake2b(entry, digest_size=HASH_BYTES).digest()


def canonical_hash(resource: Mapping[str, Any], ignored: tuple[str, ...] = ()) -> bytes:
    """Return the 16-byte hash of what a resource says: sorted keys, no `meta`, no `text`, instants in UTC to the µs.

    Two renderings of one version have the same hash, so neither a new `meta.lastUpdated` nor another way to write the
    same instant makes a version. A partial version differs from a whole one.
    """
    said = {**resource}
    said.pop("meta", None)
    said.pop("text", None)
    if ignored:
        said = without_ignored(said, ignored)
    if is_partial(resource):
        said["meta"] = "partial"
    for key in ("sent", "received"):
        instant = read_instant(said[key]) if isinstance(said.get(key), str) else None
        # A date without a time of day says less than the instant at which it begins, so it stays as it is.
        if instant is not None and instant.has_time:
            said[key] = instant.at.isoformat()
    return hash_entry(_SORTED.encode(said))


def is_partial(resource: Mapping[str, Any]) -> bool:
    """Tell whether the source says that it left something out: by a tag, or a security label.

    FHIR R4 §3.1.1.5.9 (a summary is tagged SUBSETTED), §6.1.1 security labels; codes of v3-ObservationValue.
    """
    meta = resource.get("meta")
    if not isinstance(meta, dict) or not ("tag" in meta or "security" in meta):
        return False
    labels = (meta.get("tag"), meta.get("security"))
    codings = [coding for label in labels if isinstance(label, list) for coding in label]
    return any(isinstance(coding, dict) and coding.get("code") in PARTIAL_CODES for coding in codings)
