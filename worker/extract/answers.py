"""What an answer means: one table, by its status and what its body is. Pure.

| status                 | body                                              | means            |
|------------------------|---------------------------------------------------|------------------|
| 200                    | what was asked for: a searchset, a token          | it is the answer |
| 401 of the FHIR API    | anything                                          | RENEW            |
| 429, 503, or any       | anything, or an OperationOutcome with `throttled` | SLOW_DOWN        |
| 408, 425, other 5xx    | anything                                          | AGAIN            |
| any                    | an OperationOutcome with another transient code   | AGAIN            |
| 200                    | any other FHIR resource                           | AGAIN            |
| other 4xx              | an OperationOutcome; an OAuth error (RFC 6749     | FINAL            |
|                        | §5.2) of the token endpoint                       |                  |
| anything else          | a web page, nothing, JSON of something else       | AWAY             |

Only an answer in FHIR, or OAuth, comes from the server itself. If something else answers in its place (a firewall, a
gateway, a page that says "maintenance"), the server is away, whether the status is 200, 403 or 404, and is waited for
like one that does not answer. `worker.extract.patience` decides how long, and whose fault it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

import msgspec

from worker.extract.operation_outcome import TRANSIENT, issue_codes

THROTTLING = frozenset({429, 503})
_TIMING = frozenset({408, 425})
_REFUSED_TOKEN = 401
# RFC 6749 §5.2 and, said of token endpoints as well, §4.1.2.1: another attempt may be answered.
_PASSING_ERRORS = frozenset({"server_error", "temporarily_unavailable", "slow_down"})
_ERROR_CODE = re.compile(r"[a-z]+(_[a-z]+)*")
_WEB_PAGE = re.compile(rb"\s*<")


class Means(Enum):
    """What it means if the answer is not what was asked for, or if there is none."""

    AGAIN = "ask again: the request or the server is in trouble"
    SLOW_DOWN = "ask again, more slowly: the server asks for it"
    AWAY = "ask again, more slowly: something else answers in its place"
    RENEW = "ask again with another token"
    FINAL = "the server itself refuses the request"


@dataclass(frozen=True, slots=True)
class Said:
    """What a body that is not what was asked for says: the server's own refusal, or something else.

    `codes` are FHIR's issue types, or the OAuth error. `is_ours` is whether the server itself sent it.
    """

    is_ours: bool
    is_refusal: bool = False
    codes: frozenset[str] = frozenset()
    is_web_page: bool = False


class _Resource(msgspec.Struct):
    resourceType: str


class _OAuthError(msgspec.Struct):
    error: str


_Struct = TypeVar("_Struct", _Resource, _OAuthError)


def said_in_fhir(body: bytes) -> Said:
    """Return what a body of the FHIR API says, as far as it was read."""
    codes = issue_codes(body)
    if codes is not None:
        return Said(is_ours=True, is_refusal=True, codes=codes)
    return Said(is_ours=_decoded(body, _Resource) is not None, is_web_page=_WEB_PAGE.match(body) is not None)


def said_in_oauth(body: bytes) -> Said:
    """Return what a body of the token endpoint says. OAuth's `error` is a code; a gateway's is a sentence."""
    error = _decoded(body, _OAuthError)
    if error is not None and _ERROR_CODE.fullmatch(error.error):
        return Said(is_ours=True, is_refusal=True, codes=frozenset({error.error}))
    return Said(is_ours=False, is_web_page=_WEB_PAGE.match(body) is not None)


def judge(status: int, said: Said, *, takes_tokens: bool = True) -> Means:
    """Return the meaning of an answer that is not what was asked for. `takes_tokens`: 401 is a refused token."""
    if status == _REFUSED_TOKEN and takes_tokens:
        return Means.RENEW
    if status in THROTTLING or "throttled" in said.codes:
        return Means.SLOW_DOWN
    if status in _TIMING or status >= 500 or said.codes & (TRANSIENT | _PASSING_ERRORS):
        return Means.AGAIN
    if 400 <= status < 500 and said.is_refusal:
        return Means.FINAL
    return Means.AGAIN if said.is_ours else Means.AWAY


def reason(status: int, means: Means, said: Said) -> str:
    """Return the word for the ledger: `http_…` if the server itself says it, or if the status is clear."""
    if means is Means.AWAY:
        return "redirect" if 300 <= status < 400 else f"not_fhir_{status}"
    if means is Means.FINAL or status in THROTTLING | _TIMING or status >= 500 or not said.codes:
        return f"http_{status}"
    return "operation_outcome"


def _decoded(body: bytes, kind: type[_Struct]) -> _Struct | None:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
