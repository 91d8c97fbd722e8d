"""The bearer token: fetched by client credentials (RFC 6749 §4.4; Canvas "Authentication"), or given ready.

One token serves all requests. It is fetched once however many requests need it, replaced before it expires, and
replaced once when the source refuses it.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from worker.errors import AccessRefused, MirrorError, SettingsError
from worker.extract import answers
from worker.extract.exchange import Answer, Request
from worker.extract.patience import REFUSED_TOKEN_S, Failure

if TYPE_CHECKING:
    from worker.extract.connection import Connection
    from worker.extract.server import Server
    from worker.setting_values import Secret
    from worker.settings import Settings

_AHEAD_S = 60.0
_AHEAD_SHARE = 0.1
_SAFE = "What was landed is kept; nothing more was read."
_PRINTABLE = re.compile(r"[\x21-\x7e]+")


class _Grant(msgspec.Struct):
    access_token: str
    expires_in: object = None


@dataclass(frozen=True, slots=True)
class _Token:
    """A token, and the monotonic instant from which it is no longer used (None: used until refused)."""

    value: str = field(repr=False)
    stale_at: float | None


class TokenSource:
    """Gives out the current token. Secrets are read again for each fetch, so that they can be rotated."""

    def __init__(self, settings: Settings, connection: Connection, server: Server) -> None:
        self._settings = settings
        self._connection = connection
        self._server = server
        self._token: _Token | None = None
        self._replaced_at: float | None = None
        self._accepted = ""
        self._turn = asyncio.Lock()
        self._fetches = 0
        self._error: MirrorError | None = None

    async def get(self) -> str:
        """Return a token that should be accepted now.

        Raises AccessRefused if these credentials are refused, SourceAway if the token endpoint stays away,
        SettingsError if a secret's file cannot be read.
        """
        fetches_before = self._fetches
        async with self._turn:
            token = self._token
            if token is not None and not self._is_stale(token):
                return token.value
            if self._error is not None and self._fetches > fetches_before:
                raise self._error  # the error of the fetch that this caller was waiting for
            token = self._token = await self._fetch()
            return token.value

    @property
    def is_given(self) -> bool:
        """Whether the token is a ready one, for which there is no fresh one."""
        return self._settings.token is not None

    def invalidate(self, token: str) -> None:
        """Note that the source refused `token` (401). Without effect if it was replaced meanwhile."""
        if self._token is not None and self._token.value == token:
            self._token, self._replaced_at = None, self._connection.clock.monotonic()

    def note_accepted(self, token: str) -> None:
        """Note that the source answered a request with `token`."""
        self._accepted = token

    def can_replace(self, token: str) -> bool:
        """Tell whether there is a token other than `token`.

        A ready token changes only with its file. A token that has just replaced a refused one, and was never accepted,
        is as good as the next. Raises SettingsError if that file cannot be read.
        """
        if self._settings.token is not None:
            return self._settings.token.read() != token
        is_fresh = self._replaced_at is not None and (
            self._connection.clock.monotonic() < self._replaced_at + REFUSED_TOKEN_S
        )
        return not is_fresh or self._token is None or self._token.value != token or self._accepted == token

    def refusal(self) -> AccessRefused:
        """Return the error for a source that refuses our tokens (401)."""
        if self._settings.token is None:
            return AccessRefused(
                "The source refuses a new token as well (401).",
                safe=_SAFE,
                next="Check that CANVAS_FHIR_URL and the credentials belong to the same instance.",
            )
        variable = self._settings.token.variable
        return AccessRefused(
            f"The source refuses the token in {variable} (401).",
            safe=_SAFE,
            next=f"Renew {variable}, or use CANVAS_CLIENT_ID and CANVAS_CLIENT_SECRET instead.",
        )

    def _is_stale(self, token: _Token) -> bool:
        return token.stale_at is not None and self._connection.clock.monotonic() >= token.stale_at

    async def _fetch(self) -> _Token:
        self._error = None
        try:
            return await self._new_token()
        except MirrorError as error:
            self._error = error
            raise
        finally:
            self._fetches += 1

    async def _new_token(self) -> _Token:
        if self._settings.token is not None:
            return self._given_token(self._settings.token)
        client_id, secret, url = (
            self._settings.client_id,
            self._settings.client_secret,
            self._settings.auth_url,
        )
        if client_id is None or secret is None or url is None:
            raise SettingsError("CANVAS_CLIENT_ID and CANVAS_CLIENT_SECRET are not set.", next="Set them.")
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret.read()}
        asked_at = self._connection.clock.monotonic()
        grant = await self._connection.ask(self._server, Request(url, form=form), _judge)
        lifetime_s = _seconds(grant.expires_in)
        return _Token(grant.access_token, None if lifetime_s is None else asked_at + lifetime_s - _ahead_s(lifetime_s))

    def _given_token(self, secret: Secret) -> _Token:
        value = secret.read()
        if not _PRINTABLE.fullmatch(value):
            raise SettingsError(
                f"{secret.variable} is not a bearer token: it holds white space or the like.",
                safe=_SAFE,
                next=f"Set {secret.variable} to the token alone.",
            )
        return _Token(value, None)


def _judge(answer: Answer) -> _Grant | Failure:
    grant = _decode(answer.body) if answer.status_code == 200 else None
    if grant is not None:
        return grant
    said = answers.said_in_oauth(answer.body)
    means = answers.judge(answer.status_code, said, takes_tokens=False)
    if means is answers.Means.FINAL:
        raise AccessRefused(
            f"The token endpoint refuses these credentials ({answer.status_code}).",
            safe=_SAFE,
            next="Check CANVAS_CLIENT_ID, CANVAS_CLIENT_SECRET, and that CANVAS_AUTH_URL is of the same instance.",
        )
    reason = answers.reason(answer.status_code, means, said)
    return Failure(reason, answer.status_code, means=means, is_web_page=said.is_web_page)


def _decode(body: bytes) -> _Grant | None:
    try:
        grant = msgspec.json.decode(body, type=_Grant)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return grant if _PRINTABLE.fullmatch(grant.access_token) else None


def _seconds(expires_in: object) -> float | None:
    """Return the lifetime in seconds; None if missing (RFC 6749 §5.1 only recommends it) or not positive."""
    try:
        seconds = float(expires_in) if isinstance(expires_in, (int, float, str)) else 0.0
    except (ValueError, OverflowError):
        return None
    return seconds if 0 < seconds < float("inf") else None


def _ahead_s(lifetime_s: float) -> float:
    return min(_AHEAD_S, lifetime_s * _AHEAD_SHARE)
