"""`POST /Communication`: what may be created, and what is stored of it (Canvas's Communication page); and editing.

A body that is not a FHIR Communication is refused with 400, one that breaks a rule of Canvas's with 422.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from worker.sandbox.refusals import Refused, operation_outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.sandbox.messages import Edition, Resource

REQUIRED = ("status", "recipient", "sender", "payload")
# FHIR R4's EventStatus value set.
_STATUSES = "preparation in-progress not-done on-hold stopped completed entered-in-error unknown"
STATUSES = frozenset(_STATUSES.split())
# FHIR R4 §2.24.0.1: a time of day needs its offset. A string has no control characters but tab and line ends.
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)")
NOT_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")


def check_precondition(if_unmodified_since: str | None, last_change: datetime) -> None:
    """Apply an `If-Unmodified-Since` header (RFC 9110 §13.1.4) to the collection's last change.

    A value that is not an HTTP date is ignored, as the RFC asks. Raises Refused 412.
    """
    try:
        since = parsedate_to_datetime(if_unmodified_since or "")
    except ValueError:
        return
    if last_change.replace(microsecond=0) > since.replace(tzinfo=since.tzinfo or UTC):
        raise Refused(412)


def new_communication(
    body: bytes, *, edition: Edition, new_id: str, now: datetime, knows: Callable[[str], bool]
) -> Resource:
    """Return the Communication to store for the body of a request. Raises Refused 400 or 422.

    `knows` tells whether a relative reference names somebody of this clinic. `now` is aware. The older edition stores
    status `unknown`, and accepts no other. The newer one stores `completed` for any status, and `now` for a missing
    `sent`.
    """
    given = _read(body)
    sent, received = (_instant(given.get(name)) for name in ("sent", "received"))
    sender = "" if given.get("sender") is None else _reference_text(given["sender"])
    recipients = [_reference_text(recipient) for recipient in _list(given.get("recipient"))]
    texts = [_text(payload) for payload in _list(given.get("payload"))]

    if any(not given.get(name) for name in REQUIRED):
        raise Refused(422)
    if edition == "seed" and given["status"] != "unknown":
        raise Refused(422)
    if len(recipients) != 1 or any(text is None for text in texts):
        raise Refused(422)
    sides = {sender.partition("/")[0]: sender, recipients[0].partition("/")[0]: recipients[0]}
    if sides.keys() != {"Patient", "Practitioner"} or not all(map(knows, sides.values())):
        raise Refused(422)

    stored: Resource = {"resourceType": "Communication", "id": new_id, "status": "unknown"}
    if edition == "current":
        stored |= {"status": "completed", "subject": _reference(sides["Patient"])}
        sent = sent or now
    if sent is not None:
        stored["sent"] = sent.isoformat()
    if received is not None:
        stored["received"] = received.isoformat()
    stored["recipient"] = [_reference(recipients[0])]
    stored["sender"] = _reference(sender)
    stored["payload"] = [{"contentString": text} for text in texts]
    return stored


def edited(resource: Resource, body: bytes) -> Resource:
    """Return a Communication with the fields of a request's body instead of its own; null removes one.

    It is a JSON Merge Patch (RFC 7396) of the top level. Canvas has no such endpoint: its users edit in the chart. What
    a field holds is not checked, so that malformed messages can be served, too. Raises Refused 400 for a body that is
    not an object, or that would change which message it is.
    """
    try:
        changes = json.loads(body)
    except (ValueError, RecursionError):
        changes = None
    if not isinstance(changes, dict) or not changes.keys().isdisjoint(("resourceType", "id")):
        raise Refused(400, operation_outcome("invalid", "The body is an object of fields to change, without id"))
    return {name: value for name, value in {**resource, **changes}.items() if value is not None}


def _read(body: bytes) -> dict[str, Any]:
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(400) from None
    if not isinstance(given, dict) or given.get("resourceType") != "Communication":
        raise Refused(400)
    status = given.get("status")
    if status is not None and (not isinstance(status, str) or status not in STATUSES):
        raise Refused(400)
    return given


def _instant(value: object) -> datetime | None:
    if value is None:
        return None
    if not isinstance(value, str) or not INSTANT.fullmatch(value):
        raise Refused(400)
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Refused(400) from None


def _text(payload: object) -> str | None:
    """Return the text of a payload, None if it holds something else."""
    if not isinstance(payload, dict) or not payload:
        raise Refused(400)
    text = payload.get("contentString")
    if text is not None and (not isinstance(text, str) or not text or NOT_TEXT.search(text)):
        raise Refused(400)
    return text if len(payload) == 1 else None


def _list(value: object) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise Refused(400)
    return value


def _reference_text(value: object) -> str:
    if not isinstance(value, dict) or not isinstance(value.get("reference"), str):
        raise Refused(400)
    text: str = value["reference"]
    return text


def _reference(reference: str) -> dict[str, str]:
    return {"reference": reference, "type": reference.partition("/")[0]}
