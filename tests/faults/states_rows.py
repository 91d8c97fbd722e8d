"""What a row of a message should say, written down once more without the mirror's code."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from worker.sandbox.messages import Resource

DELIVERY = {
    "completed": "sent",
    "preparation": "draft",
    "in-progress": "scheduled",
    "entered-in-error": "void",
    "unknown": "unknown",
    None: "unknown",
}
_TAG = re.compile(r"<[^>]+>")


def is_spoiled(resource: Resource) -> bool:
    """Tell whether a resource was made unusable by `spoil`."""
    return (
        str(resource.get("sent")).startswith("2024-02-30")
        or resource["sender"]["reference"] == "nobody"
        or "\x00" in resource["payload"][0]["contentString"]
    )


def people_of(resource: Resource) -> dict[str, str]:
    """Return type → id of the people a usable message names."""
    references = [resource["sender"]["reference"], *(one["reference"] for one in resource["recipient"])]
    return dict(reference.split("/") for reference in references if "/" in reference)


def said(resource: Resource) -> Resource:
    """Return what a resource says, without what makes no version."""
    return {key: value for key, value in resource.items() if key not in {"meta", "text"}}


def row_of(resource: Resource, cutoff: datetime) -> dict[str, Any]:
    """Return the columns that a row of this resource should have where bodies count as HTML from `cutoff` on."""
    sent, parts = _instant(resource.get("sent")), _parts(resource, cutoff)
    people = people_of(resource)
    by_patient = resource["sender"]["reference"].startswith("Patient/")
    return {
        "status": resource.get("status"),
        "delivery": DELIVERY[resource.get("status")],
        "direction": "patient_to_practitioner" if by_patient else "practitioner_to_patient",
        "patient_id": people["Patient"],
        "practitioner_id": people["Practitioner"],
        "sent_at": sent,
        "received_at": _instant(resource.get("received")),
        "body_text": "\n\n".join(text for text, _ in parts),
        "body_format": "html" if any(form == "html" for _, form in parts) else "plain",
        "payload_count": len(parts),
    }


def parts_of(resource: Resource, cutoff: datetime) -> dict[str, Any]:
    """Return what the tables of payloads and of recipients should hold beside the row: what there are several of."""
    parts = _parts(resource, cutoff)
    return {"payloads": [f"{form}: {text}" for text, form in parts] if len(parts) > 1 else [], "recipients": []}


def _parts(resource: Resource, cutoff: datetime) -> list[tuple[str, str]]:
    """Return text and format of each payload."""
    sent = _instant(resource.get("sent"))
    bodies = [payload["contentString"] for payload in resource["payload"]]
    marked_up = [_TAG.search(body) is not None and (sent is None or sent >= cutoff) for body in bodies]
    return [
        (_TAG.sub("", body), "html") if is_html else (body, "plain")
        for body, is_html in zip(bodies, marked_up, strict=True)
    ]


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
