"""A FHIR server with nothing of its own: rows as a test puts them, answers as a test spoils them."""

from __future__ import annotations

import json
from collections.abc import Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from aiohttp import web

from tests.integration.mirroring import message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

PATIENT = "Patient/pa"


def letter(message_id: str, practitioner: str = "pr", text: str = "Hello.", **fields: Any) -> dict[str, Any]:
    """Return a message from a practitioner to the patient."""
    sides = {"sender": {"reference": f"Practitioner/{practitioner}"}, "recipient": [{"reference": PATIENT}]}
    return message(message_id, text=text, **(sides | fields))


@dataclass
class BareSource:
    """Rows in their order, and practitioners with whether they are active.

    `before` is called with each path and query before anything is found, and awaited if it can be. `spoil` may change
    the Bundle that is about to be served.
    """

    rows: list[dict[str, Any]]
    practitioners: dict[str, bool] = field(default_factory=lambda: {"pr": True})
    page_entries: int = 100
    before: Callable[[str, dict[str, str]], object] = lambda _path, _query: None
    spoil: Callable[[str, dict[str, str], dict[str, Any]], object] = lambda _path, _query, _bundle: None
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    url: str = ""

    def ids(self) -> set[str]:
        """Return the ids of the rows."""
        return {row["id"] for row in self.rows}

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """Give the URL it answers at."""
        application = web.Application()
        application.router.add_post("/auth/token/", self._token)
        application.router.add_get("/{resource}", self._answer)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    async def _token(self, _request: web.Request) -> web.Response:
        return web.json_response({"access_token": "token", "expires_in": 3600, "token_type": "Bearer"})

    async def _answer(self, request: web.Request) -> web.Response:
        path, query = request.path, dict(request.query)
        awaited = self.before(path, query)
        if isinstance(awaited, Awaitable):
            await awaited
        self.asked.append((path, query))
        found, offset = self._found(path, query), int(query.get("_offset", 0))
        end = offset + min(int(query.get("_count", 10)), self.page_entries)
        bundle: dict[str, Any] = {
            "resourceType": "Bundle",
            "type": "searchset",
            "total": len(found),
            "entry": [{"resource": resource} for resource in found[offset:end]],
        }
        if end < len(found):
            bundle["link"] = [{"relation": "next", "url": f"{path}?{urlencode({**query, '_offset': end})}"}]
        self.spoil(path, query, bundle)
        return web.Response(body=json.dumps(bundle).encode(), content_type="application/fhir+json")

    def _found(self, path: str, query: dict[str, str]) -> list[dict[str, Any]]:
        if path == "/Practitioner":
            active = query.get("active") == "true"
            return [
                {"resourceType": "Practitioner", "id": name, "active": active}
                for name, is_active in self.practitioners.items()
                if is_active is active
            ]
        if path == "/Patient":
            return [{"resourceType": "Patient", "id": PATIENT.removeprefix("Patient/")}]
        return [row for row in self.rows if _matches(row, query)]


def _matches(row: dict[str, Any], query: dict[str, str]) -> bool:
    asked_for = {
        "_id": {row["id"]},
        "sender": {row["sender"]["reference"]},
        "recipient": {recipient["reference"] for recipient in row["recipient"]},
    }
    return all(query[name] in values for name, values in asked_for.items() if name in query)
