"""One request that a fault befalls, as the fault sees it."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aiohttp import web

from worker.sandbox.refusals import documented

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from worker.sandbox.population import Clinic, Resource


@dataclass(slots=True)
class SpoiledSource:
    """A source, and what faults have made of it so far.

    `page_max` is how many entries a page holds at most, whatever is asked for. `moved` maps the ids of messages that
    drift has created, edited, moved or removed to when it did so last; `denied` holds those that were asked for by
    `_id` and hidden. A firewall blocks requests up to the number `blocked_up_to`.
    """

    clinic: Clinic
    seed: int = 0
    page_max: int = 100
    moved: dict[str, datetime] = field(default_factory=dict)
    denied: set[str] = field(default_factory=set)
    expired: set[str] = field(default_factory=set)
    scope_shrunk: bool = False
    grows_from: int | None = None
    blocked_up_to: int = 0

    def note_move(self, message_id: str) -> None:
        """Remember that a message does not stand still."""
        self.moved[message_id] = datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Moment:
    """A request, its number, what it would be answered (`answer`), and the source it is asked of."""

    faults: SpoiledSource
    request: web.Request
    number: int
    answer: Callable[[], Awaitable[web.StreamResponse]]

    @property
    def clinic(self) -> Clinic:
        """The clinic whose messages are asked for."""
        return self.faults.clinic

    @property
    def chance(self) -> random.Random:
        """Choices that are the same for the same seed and request number."""
        return random.Random(f"{self.faults.seed}/{self.number}/choice")  # noqa: S311 - repeatable, guards nothing

    @property
    def offset(self) -> int:
        """How many entries of the search the client has been shown before this page."""
        text = self.request.query.get("_offset", "")
        return int(text) if text.isdecimal() else 0

    def rows(self) -> list[str]:
        """Return the ids of what is searched for, in the order of the server; of a roster search or a token: all."""
        for side in ("recipient", "sender"):
            if side in self.request.query:
                numbers = self.clinic.search(side, self.request.query[side])
                return _ids(self.clinic.resource(number) for number in numbers)
        if "_id" in self.request.query:
            return [one for one in [self.request.query["_id"]] if self.clinic.number_of(one) is not None]
        return _ids(self.clinic)


def _ids(resources: Iterable[Resource]) -> list[str]:
    return [resource["id"] for resource in resources if isinstance(resource.get("id"), str)]


def bundle_of(answer: web.StreamResponse) -> dict[str, Any] | None:
    """Return the searchset Bundle in an answer; None if it holds none, as refusals and tokens do."""
    if not isinstance(answer, web.Response) or not isinstance(answer.body, bytes):
        return None
    try:
        body = json.loads(answer.body)
    except ValueError:
        return None
    return body if isinstance(body, dict) and body.get("resourceType") == "Bundle" else None


def json_answer(body: Any, status: int = 200) -> web.Response:
    """Answer JSON, lone surrogates and all."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return web.Response(
        body=text.encode(errors="backslashreplace"), status=status, content_type="application/fhir+json"
    )


def documented_refusal(status: int) -> web.Response:
    """Answer a refusal with its documented OperationOutcome."""
    return json_answer(documented(status), status)
