"""One made-up message as a FHIR R4 Communication, worked out from (seed, number) when it is asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from worker.sandbox import letters
from worker.sandbox.draw import Draw
from worker.sandbox.people import EXAMPLE_PATIENT, EXAMPLE_PRACTITIONER
from worker.sandbox.scripts import BARE, ENDINGS, LETTER, SCRIPTS, SLOTS
from worker.sandbox.threads import CUTOFF_S, HOUR_S

if TYPE_CHECKING:
    from worker.sandbox.people import Patient, Practitioner
    from worker.sandbox.scripts import Script
    from worker.sandbox.threads import Thread

Edition = Literal["seed", "current"]
Resource = dict[str, Any]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TWO_YEARS_S = 63_072_000

EXAMPLE_ID = "7433b4b2-0d18-45ca-bb12-71105c80386b"


def example() -> Resource:
    """Return the Communication that Canvas's documentation shows as its example, value by value."""
    return {
        "resourceType": "Communication",
        "id": EXAMPLE_ID,
        "status": "unknown",
        "sent": "2021-03-21T10:46:17+00:00",
        "received": "2022-03-14T12:03:58.958000+00:00",
        "recipient": [{"reference": f"Patient/{EXAMPLE_PATIENT}", "type": "Patient"}],
        "sender": {"reference": f"Practitioner/{EXAMPLE_PRACTITIONER}", "type": "Practitioner"},
        "payload": [{"contentString": "Similique amet at est necessitatibus repellendus eius."}],
    }


# Ids begin with the message's number times an odd constant, modulo 2^32: that scatters them and can be
# undone, so that a million ids need no table.
SCATTER = 2_654_435_761
GATHER = pow(SCATTER, -1, 2**32)


def scattered(number: int) -> int:
    """Return a 32-bit number that tells nothing of the order of the messages. One to one."""
    return number * SCATTER & 0xFFFFFFFF


def message_id(seed: int, number: int) -> str:
    """Return the id of a made-up message, a dashed UUID."""
    if number == 0:
        return EXAMPLE_ID
    tail = Draw(seed, "id", number).below(2**96)
    return str(UUID(int=scattered(number) << 96 | tail, version=4))


def number_of(seed: int, text: str) -> int | None:
    """Return the number of the made-up message whose id this would be; None if it is no such id."""
    if text == EXAMPLE_ID:
        return 0
    try:
        number = int(text[:8], 16) * GATHER & 0xFFFFFFFF
    except ValueError:
        return None
    return number if message_id(seed, number) == text else None


def write_message(
    *,
    seed: int,
    number: int,
    edition: Edition,
    thread_number: int,
    thread: Thread,
    practitioner: Practitioner,
    patient: Patient,
) -> Resource:
    """Return the Communication with this number, the same for the same arguments."""
    if number == 0:
        return example()
    position = number - thread.first
    by_patient = SCRIPTS[thread.script][position].by == "patient"
    draw = Draw(seed, "message", number)
    pace_s = HOUR_S // 2 + thread.start_s % (30 * HOUR_S)  # minutes in one thread, days in another
    written_s = thread.start_s + position * pace_s
    as_html = draw.happens(500) if 0 <= written_s - CUTOFF_S < HOUR_S else written_s >= CUTOFF_S
    may_be_unsent = not by_patient and position == thread.length - 1
    status, sent_s = _delivery(draw, written_s, may_be_unsent=may_be_unsent, as_html=as_html)

    resource: Resource = {
        "resourceType": "Communication",
        "id": message_id(seed, number),
        "status": status if edition == "current" else "unknown",
    }
    if edition == "current":
        resource["subject"] = {"reference": patient.reference, "type": "Patient"}
    if sent_s is not None:
        resource["sent"] = _instant(sent_s, draw.below(1_000_000) if draw.happens(700) else 0)
    if by_patient and draw.happens(850):  # somebody has marked it as read
        resource["received"] = _instant(written_s + 60 + draw.below(72 * HOUR_S), 1000 * draw.below(1000))
    sides = [{"reference": practitioner.reference}, {"reference": patient.reference}]
    if not draw.happens(50):  # `type` may be missing
        sides = [{**side, "type": side["reference"].partition("/")[0]} for side in sides]
    recipient, sender = sides if by_patient else reversed(sides)
    resource["recipient"] = [recipient]
    resource["sender"] = sender
    slots = _slots(seed, thread_number, practitioner, patient)
    resource["payload"] = [{"contentString": _body(draw, SCRIPTS[thread.script], position, slots, as_html=as_html)}]
    return resource


def _delivery(draw: Draw, written_s: int, *, may_be_unsent: bool, as_html: bool) -> tuple[str, int | None]:
    """Return what the newer edition says of the status, and `sent` in seconds since 1970."""
    if may_be_unsent and draw.happens(60):
        return draw.pick(("preparation", "preparation", "in-progress")), None
    if draw.happens(5):
        return "completed", None
    if as_html and draw.happens(5):  # posted through the API with a date before the cutoff
        return "completed", CUTOFF_S - 1 - draw.below(TWO_YEARS_S)
    return "completed", written_s


def _body(draw: Draw, script: Script, position: int, slots: dict[str, str], *, as_html: bool) -> str:
    step = script[position]
    if as_html and step.by == "patient" and draw.happens(120):
        return draw.pick(BARE).format_map(slots)
    paragraphs = draw.pick(step.texts) + draw.pick(ENDINGS[step.by])
    text = [paragraph.format_map(slots) for paragraph in paragraphs]
    if not as_html:
        return letters.plain(text, line_end="\r\n" if draw.happens(30) else "\n")
    shapes = letters.FORMAL_SHAPES if script is LETTER else letters.SHAPES
    return draw.pick(letters.PATIENT_SHAPES if step.by == "patient" else shapes)(text)


def _slots(seed: int, thread_number: int, practitioner: Practitioner, patient: Patient) -> dict[str, str]:
    draw = Draw(seed, "slots", thread_number)
    slots = {name: draw.pick(options) for name, options in SLOTS.items()}
    slots["given"], slots["family"] = patient.given, patient.family
    slots["title"] = f"Dr. {practitioner.family}"
    slots["signature"] = f"{practitioner.given} {practitioner.family}, MD"
    return slots


def _instant(seconds: int, microseconds: int) -> str:
    return (EPOCH + timedelta(seconds=seconds, microseconds=microseconds)).isoformat()
