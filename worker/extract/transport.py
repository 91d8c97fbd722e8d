"""The way to a server: which certificates are trusted, and which proxy is used."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from worker.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from urllib.parse import SplitResult


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy: its URL without credentials, and the headers that carry them."""

    url: str
    headers: Mapping[str, str] = field(repr=False)


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return a context that verifies certificate and host name, by the system's authorities and `ca_file`.

    Raises SettingsError if `ca_file` cannot be read as PEM. It reads files, so call it outside the event loop.
    """
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
            # From Python 3.13 on the default is strict about the form of certificates (RFC 5280). An authority that an
            # operator made, and names, need not be.
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        except OSError:
            raise SettingsError(
                "MIRROR_CA_FILE holds no certificate that can be read.",
                next="Point it at a PEM file of the authority.",
            ) from None
    return context


def proxy_of(url: str) -> Proxy | None:
    """Return the proxy that `HTTPS_PROXY` and `NO_PROXY` name for `url`, if any. Raises SettingsError.

    Plain http is for this machine only (`worker.settings`) and stays on it. aiohttp's own reading of the
    environment is not used: it reads `.netrc` as well and would send credentials from there.
    """
    parts = urlsplit(url)
    proxies = getproxies()
    text = proxies.get("https") or proxies.get("all")
    if parts.scheme != "https" or not text or proxy_bypass(parts.netloc):
        return None
    try:
        return _proxy(urlsplit(text if "://" in text else f"http://{text}"))
    except ValueError:
        raise SettingsError(
            "HTTPS_PROXY is not the URL of an HTTP proxy.", next="Set it to a URL like http://proxy.example.com:3128."
        ) from None


def _proxy(parts: SplitResult) -> Proxy:
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
        raise ValueError
    headers = {}
    if parts.username is not None:
        login = aiohttp.encode_basic_auth(unquote(parts.username), unquote(parts.password or ""))
        headers["Proxy-Authorization"] = login
    address = parts.netloc.rpartition("@")[2]
    return Proxy(urlunsplit((parts.scheme, address, "", "", "")), headers)
