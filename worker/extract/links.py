"""URLs of pages: the first is built, every further one comes from a `next` link (FHIR R4 §3.1.1.5). Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, urldefrag, urlencode, urljoin, urlsplit, urlunsplit

from worker.errors import PageFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

# RFC 3986 §2.2 reserved characters and the percent sign, which a link may hold unencoded.
_AS_WRITTEN = ":/?#[]@!$&'()*+,;=%"
_PLACE = re.compile(r"(?P<origin>(?:https?:)?//[A-Za-z0-9.:\[\]_-]{1,253}(?=[/?#]|$))?(?P<path>/?[^?#]*)", re.ASCII)
_PLAIN = re.compile(r"[A-Za-z0-9._~-]{1,30}", re.ASCII)
_DEFAULT_PORTS = {"http": 80, "https": 443}


def first_url(base_url: str, resource: str, parameters: Sequence[tuple[str, str]], count: int) -> str:
    """Return a search's first URL, `{base_url}/{resource}?{parameters}&_count={count}`, percent-encoded."""
    query = urlencode([*parameters, ("_count", str(count))], quote_via=quote, safe="")
    return f"{base_url}/{resource}?{query}"


def next_url(base_url: str, page_url: str, link: str) -> str:
    """Return the absolute URL of a `next` link found on the page at `page_url`.

    A link with an absolute path is taken relative to the FHIR base URL (`/Communication?…` is how Canvas
    writes them), unless it starts with the base URL's own path; any other is resolved by RFC 3986 §5.2. One that leads
    to the host of an https base URL by plain http, as behind a proxy that ends TLS, is asked for at the base URL's own
    scheme and port.
    Raises PageFailed with reason `foreign_next` if it leads to another scheme, host or port, or carries
    credentials, and with `bad_link` if it is not a URL at all; its `next` names base URL and link.
    """
    try:
        # Characters that a URL must not hold are encoded before its parts are read.
        written = quote(link, safe=_AS_WRITTEN)
        url = _by_tls(base_url, urldefrag(_resolve(base_url, page_url, written)).url)
        same = origin(url) == origin(base_url) and "@" not in urlsplit(url).netloc
    except ValueError:
        what = "The source sent a `next` link that is not a URL."
        raise PageFailed("bad_link", what, next=mismatch(base_url, link)) from None
    if not same:
        what = "The source sent a `next` link to another server; it was not followed: the token would travel."
        raise PageFailed("foreign_next", what, next=mismatch(base_url, link))
    return url


def mismatch(base_url: str, link: str) -> str:
    """Return what to do about a `next` link that leads elsewhere than `base_url`. It names both, without a query."""
    return (
        f"CANVAS_FHIR_URL is {base_url}, and a `next` link leads to {_place(link)}. If that is the address of your"
        " FHIR API, set CANVAS_FHIR_URL to it; if not, whoever runs the gateway has to let it rewrite links."
    )


def _place(link: str) -> str:
    """Return scheme, host and path of a link up to its resource type, so that it names no patient."""
    match = _PLACE.match(link)
    if match is None:
        return "what is no address"
    path = "/".join(part for part in match["path"].split("/")[:-1] if _PLAIN.fullmatch(part) or not part)
    return f"{match['origin'] or ''}{path}" or "the root of the same host"


def _by_tls(base_url: str, url: str) -> str:
    base, parts = urlsplit(base_url), urlsplit(url)
    if (base.scheme, parts.scheme) == ("https", "http") and parts.hostname == base.hostname and "@" not in parts.netloc:
        return urlunsplit(parts._replace(scheme=base.scheme, netloc=base.netloc))
    return url


def origin(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port (the default one filled in). Raises ValueError if it is not a URL."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or _DEFAULT_PORTS.get(parts.scheme)


def _resolve(base_url: str, page_url: str, link: str) -> str:
    if not link.startswith("/") or link.startswith("//"):
        return urljoin(page_url, link)
    base_path = urlsplit(base_url).path
    inside = base_path and (link.startswith((f"{base_path}/", f"{base_path}?")) or link == base_path)
    return urljoin(base_url, link) if inside else base_url + link
