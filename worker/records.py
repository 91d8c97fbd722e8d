"""Frozen types that pass between the stages. They have no behavior of their own.

A page of a searchset Bundle becomes a `Page` of raw entries (extract), each entry a `Communication` or a `Rejected`
(extract), each `Communication` a `Message` (transform), and batches of them rows (load).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from datetime import datetime


FHIR_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
"""The form of a resource's id (FHIR R4 §2.24.0.1 id)."""

_WITH_WORDS = frozenset({"payloads", "resource", "entry", "text", "html"})


class Record(msgspec.Struct, frozen=True, gc=False):
    """A type of which there is at least one for each message. A struct takes less time to make than a dataclass."""

    def __repr__(self) -> str:
        """Return its fields, without those that quote somebody."""
        shown = (f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__ if name not in _WITH_WORDS)
        return f"{type(self).__name__}({', '.join(shown)})"


class Reason(StrEnum):
    """Why an entry cannot be a row. Stored in `canvas_ops.quarantine.reason`; these words quote nobody."""

    NOT_AN_OBJECT = "not_an_object"
    UNREADABLE_ENTRY = "unreadable_entry"
    ENTRY_TOO_LARGE = "entry_too_large"
    NESTED_TOO_DEEP = "nested_too_deep"
    NO_RESOURCE = "no_resource"
    WRONG_RESOURCE_TYPE = "wrong_resource_type"
    NO_ID = "no_id"
    IMPOSSIBLE_ID = "impossible_id"
    WRONG_FIELD_TYPE = "wrong_field_type"
    IMPOSSIBLE_DATE = "impossible_date"
    UNPARSABLE_REFERENCE = "unparsable_reference"
    NUL_CHARACTER = "nul_character"
    LONE_SURROGATE = "lone_surrogate"
    DEFECT = "defect"
    """Our own code failed on it. A corrected version of the mirror reads it from quarantine (`replay`)."""
    REFUSED_BY_WAREHOUSE = "refused_by_warehouse"
    PARTIAL = "partial"
    """The source says that it left something out of this version, and the mirror holds a whole one."""


class Quality(StrEnum):
    """What is odd about a message that is a row. Stored in `canvas.message._quality`, counted by `canvas.quality`."""

    ODD_DATE = "odd_date"
    """A date that has no form of FHIR's, but still names one instant."""
    DEFECT = "defect"
    """Our own code failed on it, so some of its columns are derived the plain way."""
    PARTIAL = "partial"
    """The source says that it left something out, and has never shown the whole message."""
    OVER_CAPS = "over_caps"
    """Reading one of its bodies would have taken too long or too much memory: its text was read the plain way."""
    MARKUP_BEFORE_CUTOFF = "markup_before_cutoff"
    """One of its bodies is kept as plain text, because it was sent before the cutoff, though it looks like HTML."""


class Reference(Record, frozen=True, gc=False):
    """Whom a FHIR Reference names: `Patient/4c21…` is type `Patient` and id `4c21…`."""

    type: str
    id: str

    def __str__(self) -> str:
        """Return it as FHIR writes it, relative."""
        return f"{self.type}/{self.id}"


@dataclass(frozen=True, slots=True)
class Search:
    """One Communication search: `GET /Communication?{parameter}={value}`.

    `parameter` is `recipient`, `sender` or `_id`; `value` a relative reference, or the bare id for `_id`.
    """

    parameter: str
    value: str


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a searchset Bundle (FHIR R4 §3.1.1.5), its entries not yet looked into.

    `url` is the absolute URL it was read from, `next_url` the `next` link as the server wrote it, relative or absolute.
    `requested` and `arrived` say in which order things happened: one counter, for all searches of a source together,
    goes up with every request and every arrival of a page. They are not times of day.
    """

    url: str
    total: int | None
    entries: tuple[bytes, ...]
    next_url: str | None
    requested: int = 0
    arrived: int = 0


class Communication(Record, frozen=True, gc=False):
    """A usable FHIR R4 Communication.

    Times are aware datetimes in UTC. `recipients` and `payloads` keep the order of the resource; a payload without
    `contentString` is None. `resource` holds the resource's bytes as received, `raw_hash` is of the whole entry,
    `content_hash` of what the resource says (`worker.extract.content_hash`). `quality` holds what decoding found odd.
    """

    id: str
    status: str | None
    sent: datetime | None
    received: datetime | None
    sender: Reference | None
    recipients: tuple[Reference, ...]
    payloads: tuple[str | None, ...]
    resource: bytes
    raw_hash: bytes
    content_hash: bytes
    quality: frozenset[Quality] = frozenset()


class Rejected(Record, frozen=True, gc=False):
    """An entry that cannot be a row. It is kept whole in quarantine, and counted like any other."""

    reason: Reason
    id: str | None
    entry: bytes
    raw_hash: bytes


class NonMatch(Record, frozen=True, gc=False):
    """An entry that is no search match: an OperationOutcome, or `search.mode` `include`. Neither counted nor kept.

    `not_whole` is whether the source says by it that something is missing in the answer.
    """

    raw_hash: bytes
    not_whole: bool = False


class Body(Record, frozen=True, gc=False):
    """One payload, or the whole message: what a reader saw, and HTML that is safe to embed (None for plain text).

    `format` is `html` or `plain`; `basis` the rule that decided (see `worker.transform.cutoff`).
    """

    text: str | None
    html: str | None
    format: str | None
    basis: str | None


class Message(Record, frozen=True, gc=False):
    """One row of `canvas.message` with what hangs on it. `payloads` is filled only where there are several.

    `quality` is sorted, each word once.
    """

    id: str
    status: str | None
    delivery: str
    direction: str
    patient_id: str | None
    practitioner_id: str | None
    sender: Reference | None
    recipients: tuple[Reference, ...]
    sent_at: datetime | None
    received_at: datetime | None
    body: Body
    payloads: tuple[Body, ...]
    payload_count: int
    rules_version: str
    resource: bytes
    raw_hash: bytes
    content_hash: bytes
    quality: tuple[Quality, ...] = ()


@dataclass(frozen=True, slots=True)
class Practitioner:
    """A Practitioner of the roster. `active` is None for one known only from messages; `name` only if asked for."""

    id: str
    active: bool | None
    name: str | None = field(default=None, repr=False)
