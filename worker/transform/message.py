"""Assembly: a decoded `Communication` becomes the `Message` that is a row. Pure, and total over its input."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from functools import lru_cache, partial
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING

from worker.defects import guarded
from worker.records import Body, Communication, Message, Quality
from worker.transform.bodies import ReadHtml, read_html
from worker.transform.cutoff import Basis, Cutoff, Decision, Format, decide, has_markup
from worker.transform.safe_html.sanitize import escaped
from worker.transform.salvage import salvaged
from worker.transform.sides import delivery_of, sides_of
from worker.transform.slow import may_be_slow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

# Raised by whoever changes what a row derived from the same resource looks like; `replay` goes by it.
RULES = 2

_NOTHING = Body(text=None, html=None, format=None, basis=None)
_NONE_READ: Mapping[str, ReadHtml] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Rules:
    """What can be set about how a record becomes a row."""

    cutoff: Cutoff
    ignored: tuple[str, ...] = ()
    """What makes no other version (`worker.extract.ignored`): no part of the rules' own version."""


@lru_cache(maxsize=8)
def rules_version(rules: Rules) -> str:
    """Return the version of the rules with their cutoff, e.g. `2@2022-10-27T00:00:00Z`.

    Where the cutoff has an ambiguous span, its end follows: `…/2022-10-27T01:00:00Z`.
    """
    version = f"{RULES}@{_instant(rules.cutoff.instant)}"
    if rules.cutoff.until > rules.cutoff.instant:
        version += f"/{_instant(rules.cutoff.until)}"
    return version


def slow_bodies(communications: Iterable[Communication], rules: Rules) -> list[str]:
    """Return the bodies that may take long to read, each once. They can be read first, elsewhere."""
    page = list(communications)
    return guarded(
        lambda: _slow_bodies(page, rules),
        lambda: [body for one in page for body in guarded(partial(_slow_bodies, [one], rules), list[str])],
    )


def _slow_bodies(communications: Sequence[Communication], rules: Rules) -> list[str]:
    payloads = ((content, one.sent) for one in communications for content in one.payloads)
    large = [(content, sent) for content, sent in payloads if content is not None and may_be_slow(content)]
    return list(dict.fromkeys(content for content, sent in large if decide(content, sent, rules.cutoff).is_html))


def to_messages(
    communications: Iterable[Communication], rules: Rules, read: Mapping[str, ReadHtml] = _NONE_READ
) -> list[Message]:
    """Return the rows of Communications, one for each. `read` are bodies that were read already (`slow_bodies`).

    With several recipients, `direction` and the two ids are those of the sender and the first recipient of
    the opposite kind; all are in `recipients`. `payloads` is filled only where there are several. A record on which our
    own code fails becomes a row all the same (`worker.transform.salvage`), and the others as they should be.
    """
    page = list(communications)
    return guarded(lambda: _messages(page, rules, read), lambda: [_by_itself(one, rules, read) for one in page])


def _by_itself(communication: Communication, rules: Rules, read: Mapping[str, ReadHtml]) -> Message:
    """Return the row of one record, because its page could not be derived as a whole."""
    return guarded(
        lambda: _messages([communication], rules, read)[0],
        lambda: salvaged(communication, rules.cutoff, rules_version(rules), read),
    )


def _messages(communications: Sequence[Communication], rules: Rules, read: Mapping[str, ReadHtml]) -> list[Message]:
    contents = [(content, one.sent) for one in communications for content in one.payloads]
    bodies = iter(_bodies(contents, rules.cutoff, read))
    version = rules_version(rules)
    return [_message(one, tuple(islice(bodies, len(one.payloads))), version) for one in communications]


def _message(communication: Communication, bodies: tuple[Body, ...], version: str) -> Message:
    direction, patient, practitioner = sides_of(communication.sender, communication.recipients)
    return Message(
        id=communication.id,
        status=communication.status,
        delivery=delivery_of(communication.status),
        direction=direction,
        patient_id=patient,
        practitioner_id=practitioner,
        sender=communication.sender,
        recipients=communication.recipients,
        sent_at=communication.sent,
        received_at=communication.received,
        body=_joined(bodies),
        payloads=bodies if len(bodies) > 1 else (),
        payload_count=len(bodies),
        rules_version=version,
        resource=communication.resource,
        raw_hash=communication.raw_hash,
        content_hash=communication.content_hash,
        quality=_quality(communication, bodies),
    )


def _quality(communication: Communication, bodies: tuple[Body, ...]) -> tuple[Quality, ...]:
    found = {*communication.quality}
    for body in bodies:
        if body.format == Format.HTML and body.html is None:
            found.add(Quality.OVER_CAPS)
        elif body.basis == Basis.BEFORE_CUTOFF and has_markup(body.text or ""):
            found.add(Quality.MARKUP_BEFORE_CUTOFF)
    return tuple(sorted(found)) if found else ()


def _bodies(
    payloads: list[tuple[str | None, datetime | None]], cutoff: Cutoff, read: Mapping[str, ReadHtml]
) -> list[Body]:
    """Return the body of each payload: `payloads` has its content and when it was sent."""
    contents = [content for content, _ in payloads]
    decisions = [None if content is None else decide(content, sent, cutoff) for content, sent in payloads]
    decided = list(zip(contents, decisions, strict=True))
    html = [content for content, decision in decided if content and decision and decision.is_html]
    read = {**read, **read_html([content for content in html if content not in read])}
    return [_body(content, decision, read) for content, decision in decided]


def _body(content: str | None, decision: Decision | None, read: Mapping[str, ReadHtml]) -> Body:
    """Return one payload's body: plain text as it is, HTML as it was `read`."""
    if content is None or decision is None:
        return _NOTHING
    text, html = read[content] if decision.is_html else ReadHtml(content, None)
    return Body(text=text, html=html, format=decision.format.value, basis=decision.basis.value)


def _joined(bodies: tuple[Body, ...]) -> Body:
    """Return the whole message: texts joined by a blank line, HTML as one block for each payload.

    Payloads without content are left out. It is HTML if any is, on the basis of the first that is.
    """
    present = [body for body in bodies if body.text is not None]
    if len(present) <= 1:
        return present[0] if present else _NOTHING
    deciding = next((body for body in present if body.format == Format.HTML), present[0])
    return Body(
        text="\n\n".join(body.text or "" for body in present),
        html=_blocks(present) if deciding.format == Format.HTML else None,
        format=deciding.format,
        basis=deciding.basis,
    )


def _blocks(bodies: list[Body]) -> str | None:
    """Return each payload as a block of safe HTML, or None if one of them took the plain way."""
    blocks = []
    for body in bodies:
        if body.format == Format.PLAIN:
            blocks.append(escaped(body.text or ""))
        elif body.html is None:
            return None
        else:
            blocks.append(f"<div>{body.html}</div>")
    return "".join(blocks)


def _instant(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
