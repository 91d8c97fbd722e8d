"""URLs of pages: the first is built, every further one comes from a `next` link (FHIR R4 §3.1.1.5). Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urldefrag, urlencode, urljoin, urlsplit

from worker.errors import PageFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

# RFC 3986 §2.2 reserved characters and the percent sign: what a link may hold as it is.
_AS_WRITTEN = ":/?#[]@!$&'()*+,;=%"
_DEFAULT_PORTS = {"http": 80, "https": 443}


def first_url(base_url: str, resource: str, parameters: Sequence[tuple[str, str]], count: int) -> str:
    """Return a search's first URL, `{base_url}/{resource}?{parameters}&_count={count}`, percent-encoded."""
    query = urlencode([*parameters, ("_count", str(count))], quote_via=quote, safe="")
    return f"{base_url}/{resource}?{query}"


def next_url(base_url: str, page_url: str, link: str) -> str:
    """Return the absolute URL of a `next` link found on the page at `page_url`.

    A link with an absolute path is taken relative to the FHIR base URL (`/Communication?…` is how Canvas
    writes them), unless it starts with the base URL's own path; any other is resolved by RFC 3986 §5.2.
    Raises PageFailed with reason `foreign_next` if it leads to another scheme, host or port, or carries
    credentials, and with `bad_link` if it is not a URL at all.
    """
    try:
        # Whatever may not stand in a URL is encoded before anything looks at its parts.
        written = quote(link, safe=_AS_WRITTEN)
        url = urldefrag(_resolve(base_url, page_url, written)).url
        same = origin(url) == origin(base_url) and "@" not in urlsplit(url).netloc
    except ValueError:
        raise PageFailed("bad_link", "The source sent a `next` link that is not a URL.") from None
    if not same:
        raise PageFailed(
            "foreign_next",
            "The source sent a `next` link to another server; it was not followed: the token would travel.",
        )
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
