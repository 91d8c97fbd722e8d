"""OAuth 2.0 client credentials (RFC 6749 §4.4) with scopes in the manner of SMART backend services."""

from __future__ import annotations

import secrets
from hmac import compare_digest
from typing import TYPE_CHECKING, Any

from worker.sandbox.refusals import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

RESOURCES = ("Communication", "Patient", "Practitioner")
SCOPES = frozenset({*(f"system/{resource}.read" for resource in RESOURCES), "system/Communication.write"})


class Tokens:
    """Issues tokens to one client, and checks them. `clock` returns seconds and never goes back."""

    def __init__(self, client_id: str, client_secret: str, lifetime_s: int, clock: Callable[[], float]) -> None:
        self._client = f"{client_id}\n{client_secret}".encode()
        self._lifetime_s = lifetime_s
        self._clock = clock
        self._grants: dict[str, tuple[frozenset[str], float]] = {}  # token → its scopes, and when it expires

    def answer(self, form: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Return status and JSON body for the form of a token request (RFC 6749 §4.4.2, §5).

        A token without `scope` may do everything, one with `scope` only what it names, such as `system/Patient.read`.
        """
        client = f"{form.get('client_id', '')}\n{form.get('client_secret', '')}".encode(errors="replace")
        if not compare_digest(client, self._client):
            return 401, {"error": "invalid_client"}
        if form.get("grant_type") != "client_credentials":
            return 400, {"error": "unsupported_grant_type" if form.get("grant_type") else "invalid_request"}
        scopes = frozenset(str(form.get("scope", "")).split()) or SCOPES
        if not scopes <= SCOPES:
            return 400, {"error": "invalid_scope"}
        token = secrets.token_urlsafe(24)
        self._grants[token] = scopes, self._clock() + self._lifetime_s
        body = {"access_token": token, "expires_in": self._lifetime_s, "token_type": "Bearer"}
        return 200, {**body, "scope": " ".join(sorted(scopes))}

    def check(self, authorization: str | None, method: str, resource: str) -> None:
        """Raise Refused if a request's `Authorization` header has no valid token (401) or lacks the scope (403)."""
        scheme, _, token = (authorization or "").partition(" ")
        scopes, expires_s = self._grants.get(token.strip(), (SCOPES, 0.0))
        if scheme.lower() != "bearer" or self._clock() >= expires_s:
            raise Refused(401)
        verb = "read" if method in {"GET", "HEAD"} else "write"
        if resource in RESOURCES and f"system/{resource}.{verb}" not in scopes:
            raise Refused(403)

    def expire_all(self) -> None:
        """Let every token expire now."""
        self._grants.clear()
