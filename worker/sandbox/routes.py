"""The endpoints: HTTP in and out. Other modules decide what is refused, and raise `Refused`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from aiohttp import web

from worker.sandbox.create import check_precondition, edited, new_communication
from worker.sandbox.people import Person
from worker.sandbox.refusals import Refused, documented, operation_outcome
from worker.sandbox.searchset import (
    COMMUNICATION_PARAMETERS,
    PATIENT_PARAMETERS,
    PRACTITIONER_PARAMETERS,
    bundle,
    find_communications,
    find_patients,
    find_practitioners,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aiohttp.typedefs import Handler

    from worker.sandbox.oauth import Tokens
    from worker.sandbox.population import Clinic

T = TypeVar("T")

OPEN_PATHS = frozenset({"/auth/token/", "/metadata"})
OWN_PATH = "/sandbox/"
"""The path of endpoints that Canvas does not have. They need no token, and no faults are put in their way."""


class Routes:
    """The endpoints over one clinic, and the two middlewares that stand before each of them."""

    def __init__(self, clinic: Clinic, tokens: Tokens) -> None:
        self._clinic = clinic
        self._tokens = tokens
        self._last_change = datetime.now(UTC)

    def add_to(self, app: web.Application) -> None:
        """Register the endpoints."""
        app.router.add_post("/auth/token/", self.token)
        app.router.add_get("/metadata", self.metadata)
        app.router.add_get("/Communication", self.search_communications)
        app.router.add_post("/Communication", self.create_communication)
        app.router.add_get("/Communication/{id}", self.read_communication)
        app.router.add_get("/Practitioner", self.search_practitioners)
        app.router.add_get("/Patient", self.search_patients)
        app.router.add_patch(f"{OWN_PATH}Communication/{{id}}", self.edit_communication)
        app.router.add_delete(f"{OWN_PATH}Communication/{{id}}", self.delete_communication)

    @web.middleware
    async def refusals(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request that is refused with an OperationOutcome."""
        try:
            return await handler(request)
        except Refused as refused:
            headers = None if refused.allow is None else {"Allow": refused.allow}
            return _json(refused.outcome, refused.status, headers)
        except web.HTTPMethodNotAllowed as refused:
            return _json(documented(405), 405, {"Allow": ", ".join(sorted(refused.allowed_methods))})
        except web.HTTPNotFound:
            return _json(operation_outcome("not-found", "Unknown endpoint"), 404)
        except web.HTTPClientError:
            return _json(documented(400), 400)

    @web.middleware
    async def authentication(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse a request without a token that allows it."""
        if request.path not in OPEN_PATHS and not request.path.startswith(OWN_PATH):
            resource = request.path.split("/")[1]
            self._tokens.check(request.headers.get("Authorization"), request.method, resource)
        return await handler(request)

    async def token(self, request: web.Request) -> web.Response:
        """`POST /auth/token/`."""
        status, body = self._tokens.answer(await request.post())
        return web.json_response(body, status=status, headers={"Cache-Control": "no-store"})

    async def metadata(self, _request: web.Request) -> web.Response:
        """`GET /metadata`: a CapabilityStatement that tells a probe that a FHIR R4 server answers (§5.2)."""
        described = {"description": f"Made-up clinic, {self._clinic.edition} edition of the Communication page"}
        more = {"date": "2026-01-01", "fhirVersion": "4.0.1", "format": ["json"], "implementation": described}
        return _json({"resourceType": "CapabilityStatement", "status": "active", "kind": "instance", **more})

    async def search_communications(self, request: web.Request) -> web.Response:
        """`GET /Communication?…`."""
        found = find_communications(self._clinic, list(request.query.items()))
        return _page(request, COMMUNICATION_PARAMETERS[self._clinic.edition], found, self._clinic.resource)

    async def create_communication(self, request: web.Request) -> web.Response:
        """`POST /Communication`: 201, body `null`, its place in `Location` (FHIR R4 §3.1.0.8)."""
        body = await request.read()
        now = datetime.now(UTC)
        check_precondition(request.headers.get("If-Unmodified-Since"), self._last_change)
        new_id = self._clinic.new_id()
        resource = new_communication(
            body, edition=self._clinic.edition, new_id=new_id, now=now, knows=self._clinic.knows
        )
        self._clinic.put(resource)
        self._last_change = now
        return _json(None, 201, {"Location": f"{request.url.origin()}/Communication/{new_id}/_history/1"})

    async def read_communication(self, request: web.Request) -> web.Response:
        """`GET /Communication/{id}`, which the older edition does not support."""
        if self._clinic.edition == "seed":
            raise Refused(405, allow="")
        return _json(self._clinic.resource(self._number(request)))

    async def edit_communication(self, request: web.Request) -> web.Response:
        """`PATCH /sandbox/Communication/{id}`: the fields of the body replace those of the message."""
        changed = edited(self._clinic.resource(self._number(request)), await request.read())
        self._clinic.put(changed)
        self._last_change = datetime.now(UTC)
        return _json(changed)

    async def delete_communication(self, request: web.Request) -> web.Response:
        """`DELETE /sandbox/Communication/{id}`."""
        self._number(request)
        self._clinic.remove(request.match_info["id"])
        self._last_change = datetime.now(UTC)
        return web.Response(status=204)

    def _number(self, request: web.Request) -> int:
        number = self._clinic.number_of(request.match_info["id"])
        if number is None:
            unknown = f"Unknown Communication resource '{request.match_info['id']}'"
            raise Refused(404, operation_outcome("not-found", unknown))
        return number

    async def search_practitioners(self, request: web.Request) -> web.Response:
        """`GET /Practitioner`."""
        found = find_practitioners(self._clinic, list(request.query.items()))
        return _page(request, PRACTITIONER_PARAMETERS, found, Person.resource)

    async def search_patients(self, request: web.Request) -> web.Response:
        """`GET /Patient`."""
        found = find_patients(self._clinic, list(request.query.items()))
        return _page(request, PATIENT_PARAMETERS, found, Person.resource)


def _page(
    request: web.Request, known: Sequence[str], found: Sequence[T], render: Callable[[T], dict[str, Any]]
) -> web.Response:
    """Answer with the page that a request asks for. Its links repeat the `known` parameters. Raises Refused 400."""
    return _json(bundle(request.path, known, list(request.query.items()), found, render))


def _json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    # A lone surrogate has no UTF-8; `backslashreplace` writes it as the escape that JSON has for it.
    return web.Response(
        body=text.encode(errors="backslashreplace"),
        status=status,
        headers=headers,
        content_type="application/fhir+json",
        charset="utf-8",
    )
