"""One HTTP request and its answer, or the word for why there is none. Repeats nothing and follows nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from worker.errors import PageFailed
from worker.extract.pace import CERTIFICATE, Failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.extract.transport import Proxy


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a request may take: seconds to connect, between reads and in all; bytes of its unpacked body."""

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
    """A response to `request`: its body only if the status is 200."""

    request: Request
    status_code: int
    retry_after: str | None
    body: bytes = field(repr=False)


async def exchange(
    session: aiohttp.ClientSession, request: Request, bounds: Bounds, proxy: Proxy | None
) -> Answer | Failure:
    """Send `request` and return what came of it. Raises PageFailed `page_too_large`."""
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
            body = await _read(response, bounds.body_bytes) if response.status == 200 else b""
            return Answer(request, response.status, response.headers.get("Retry-After"), body)
    except (aiohttp.ClientError, OSError) as error:
        return Failure(_reason(error))


async def _read(response: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > most_bytes:
            raise PageFailed("page_too_large", f"One page is larger than {most_bytes} bytes.")
    return bytes(body)


def _reason(error: Exception) -> str:
    """Name what went wrong on the way, in a word; the error's own text may quote the URL."""
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
