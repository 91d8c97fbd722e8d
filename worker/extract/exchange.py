"""One HTTP request and its answer, or the word for why there is none. It repeats nothing and follows no redirect."""

from __future__ import annotations

import codecs
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from worker.errors import PageFailed
from worker.extract.patience import CERTIFICATE, Failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.extract.transport import Proxy


REFUSAL_BYTES = 64 * 1024
"""How much of a refusal is read. An OperationOutcome fits in, and the first letter shows a web page."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits of a request: seconds to connect, between reads and in all; bytes of its unpacked body."""

    connect_s: float = 10
    read_s: float = 60
    total_s: float = 120
    body_bytes: int = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """One request. Neither its URL (patient references) nor its token and form (secrets) show in a repr."""

    url: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """A response to `request`: its body without a byte order mark, at most `REFUSAL_BYTES` of it if it is no 200."""

    request: Request
    status_code: int
    retry_after: str | None
    body: bytes = field(repr=False)


async def exchange(
    session: aiohttp.ClientSession, request: Request, bounds: Bounds, proxy: Proxy | None
) -> Answer | Failure:
    """Send `request` and return the answer or the failure. Raises PageFailed `page_too_large`."""
    timeout = aiohttp.ClientTimeout(
        total=bounds.total_s, connect=bounds.connect_s, sock_connect=bounds.connect_s, sock_read=bounds.read_s
    )
    try:
        async with session.request(
            "GET" if request.form is None else "POST",
            URL(request.url, encoded=True),
            headers={} if request.token is None else {"Authorization": f"Bearer {request.token}"},
            data=request.form,
            timeout=timeout,
            allow_redirects=False,
            proxy=proxy.url if proxy else None,
            proxy_headers=proxy.headers if proxy else None,
        ) as response:
            is_page = response.status == 200
            body = await (_read(response, bounds.body_bytes) if is_page else _read_refusal(response))
            retry_after = response.headers.get("Retry-After")
            return Answer(request, response.status, retry_after, body.removeprefix(codecs.BOM_UTF8))
    except (aiohttp.ClientError, OSError) as error:
        return Failure(_reason(error), detail=_detail(error))


async def _read(response: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > most_bytes:
            raise PageFailed("page_too_large", f"One page is larger than {most_bytes} bytes.")
    return bytes(body)


async def _read_refusal(response: aiohttp.ClientResponse) -> bytes:
    """Return the beginning of a body, as far as it arrives. If the rest is lost, the status still counts."""
    body = bytearray()
    with suppress(aiohttp.ClientError, OSError):
        while len(body) < REFUSAL_BYTES and (chunk := await response.content.read(REFUSAL_BYTES - len(body))):
            body += chunk
    return bytes(body)


def _detail(error: Exception) -> str:
    """Return what OpenSSL says of a certificate: fixed words, and our own setting's host name."""
    cause = getattr(error, "certificate_error", None)
    return str(getattr(cause, "verify_message", "")).removesuffix(".")


def _reason(error: Exception) -> str:
    """Return in a word what went wrong on the way, because the text of the error may quote the URL."""
    match error:
        case TimeoutError():
            return "timeout"
        case aiohttp.ClientConnectorCertificateError():
            return CERTIFICATE
        case aiohttp.ClientConnectorDNSError():
            return "unknown_host"
        case aiohttp.ClientConnectorSSLError():
            return "tls"
        case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
            return "proxy"
        case aiohttp.ClientPayloadError():
            return "truncated"
        case aiohttp.ClientResponseError():
            return "not_http"
        case _:
            return "connection"
