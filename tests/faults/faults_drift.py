"""Drift: the clinic moves on just before a request is answered, so that a search changes between two of its pages."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import web

    from tests.faults.faults_moment import Moment

    Fault = Callable[[Moment], Awaitable[web.StreamResponse]]

GROWS_EVERY = 5
CREATED = {"resourceType": "Communication", "status": "unknown", "sent": "2021-05-04T10:00:00+00:00"}


def _before_answering(move: Callable[[Moment], None]) -> Fault:
    """Make a fault of a function that changes the clinic."""

    @wraps(move)
    async def fault(moment: Moment) -> web.StreamResponse:
        move(moment)
        return await moment.answer()

    return fault


@_before_answering
def row_created(moment: Moment) -> None:
    """Add a message, at whatever place of the search its number gives it."""
    _create(moment)


@_before_answering
def row_edited(moment: Moment) -> None:
    """Let a message say something else from now on, at its old place."""
    if message_id := _pick(moment, moment.rows()):
        resource = _resource(moment, message_id)
        moment.clinic.put({**resource, "payload": [{"contentString": f"Edited before request {moment.number}."}]})
        moment.faults.note_move(message_id)


@_before_answering
def row_removed(moment: Moment) -> None:
    """Remove a message: of those on earlier pages if there are any, so that the rest moves up."""
    rows = moment.rows()
    if message_id := _pick(moment, rows[: moment.offset] or rows):
        _remove(moment, message_id)


@_before_answering
def rows_reordered(moment: Moment) -> None:
    """Give a message another place in its searches."""
    if message_id := _pick(moment, moment.rows()):
        resource = _resource(moment, message_id)
        moment.clinic.remove(message_id)
        moment.clinic.put(resource)
        moment.faults.note_move(message_id)


@_before_answering
def row_replaced(moment: Moment) -> None:
    """Remove a message of an earlier page and add one after them, so that `total` does not tell."""
    rows = moment.rows()
    _create(moment, no_earlier_than=moment.offset)
    if message_id := _pick(moment, rows[: moment.offset] or rows):
        _remove(moment, message_id)


async def inbox_grows(moment: Moment) -> web.StreamResponse:
    """From now on, add a message to what is searched for before every fifth request: a clinic that never closes."""
    if moment.faults.grows_from is None:
        moment.faults.grows_from = moment.number
    return await moment.answer()


KINDS = (row_created, row_edited, row_removed, rows_reordered, row_replaced, inbox_grows)


def grow(moment: Moment) -> None:
    """Add a message if this request is one of those that `inbox_grows` means."""
    since = moment.faults.grows_from
    if since is not None and moment.number > since and (moment.number - since) % GROWS_EVERY == 0:
        _create(moment)


def _pick(moment: Moment, message_ids: list[str]) -> str | None:
    return moment.chance.choice(message_ids) if message_ids else None


def _resource(moment: Moment, message_id: str) -> dict[str, Any]:
    number = moment.clinic.number_of(message_id)
    if number is None:
        raise KeyError(message_id)
    return moment.clinic.resource(number)


def _remove(moment: Moment, message_id: str) -> None:
    moment.clinic.remove(message_id)
    moment.faults.note_move(message_id)


def _create(moment: Moment, no_earlier_than: int = 0) -> None:
    """Put in a message of the search asked for; another try if it would stand before that place."""
    sender, recipient = _sides(moment)
    for attempt in range(100):
        message_id = moment.clinic.new_id()
        resource = {**CREATED, "id": message_id, "sender": sender, "recipient": [recipient]}
        moment.clinic.put({**resource, "payload": [{"contentString": f"Created before request {moment.number}."}]})
        if not no_earlier_than or attempt == 99 or moment.rows().index(message_id) >= no_earlier_than:
            moment.faults.note_move(message_id)
            return
        moment.clinic.remove(message_id)


def _sides(moment: Moment) -> tuple[dict[str, str], dict[str, str]]:
    """Return sender and recipient of a message that the search asked for will find."""
    query, chance = moment.request.query, moment.chance
    patient = {"reference": f"Patient/{chance.choice(sorted(moment.clinic.patients))}"}
    practitioner = {"reference": f"Practitioner/{chance.choice(sorted(moment.clinic.practitioners))}"}
    for side in ("recipient", "sender"):
        asked = query.get(side)
        if asked is None:
            continue
        one = {"reference": asked}
        other = patient if asked.startswith("Practitioner/") else practitioner
        return (other, one) if side == "recipient" else (one, other)
    return patient, practitioner
