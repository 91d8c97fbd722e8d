"""How TLS to the warehouse is verified, from the parameters of `WAREHOUSE_DSN`.

The driver's own `verify-full` does not use the system's authorities. It asks for a file below HOME, which a service
does not have. No message quotes a path: if a password is not escaped, any part of the URL may be a piece of the
password.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from worker.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

_SYSTEM = "system"
_VERIFY_FULL = "verify-full"
# Where libpq looks, and asyncpg, if the URL does not say: a variable, then a file of ~/.postgresql.
_PLACES = {
    "sslrootcert": ("PGSSLROOTCERT", "root.crt"),
    "sslcert": ("PGSSLCERT", "postgresql.crt"),
    "sslkey": ("PGSSLKEY", "postgresql.key"),
    "sslcrl": ("PGSSLCRL", "root.crl"),
}


def verified(query: Mapping[str, list[str]], *, local: bool) -> ssl.SSLContext | None:
    """Return a context that verifies the server, or None if the driver itself handles what the URL asks.

    We verify `sslmode=verify-full`, and a DSN of another machine without `sslmode`. `query` is that of the URL. Raises
    SettingsError for a file that cannot be read or used.
    """
    asked = {name: values[-1] for name, values in query.items()}
    for name in _PLACES:
        is_file = name in asked and (name, asked[name]) != ("sslrootcert", _SYSTEM)
        if is_file and not os.access(asked[name], os.R_OK):
            raise SettingsError(
                f"The file that {name} in WAREHOUSE_DSN names cannot be read.", next="Check the path in WAREHOUSE_DSN."
            )
    mode, root = asked.get("sslmode"), asked.get("sslrootcert")
    if root == _SYSTEM and mode not in {None, _VERIFY_FULL}:
        raise SettingsError(
            "sslrootcert=system in WAREHOUSE_DSN goes with sslmode=verify-full only.",
            next="Leave sslmode out of WAREHOUSE_DSN, or name verify-full.",
        )
    if mode not in {None, _VERIFY_FULL} or (mode is None and local and root != _SYSTEM):
        return None
    # Without a mode the default is our own, which does not depend on files in HOME.
    places = {name: asked.get(name) if mode is None else _place_of(name, asked) for name in _PLACES}
    return _context(places, asked)


def _context(places: Mapping[str, str | None], asked: Mapping[str, str]) -> ssl.SSLContext:
    root, crl, certificate = places["sslrootcert"], places["sslcrl"], places["sslcert"]
    try:
        context = ssl.create_default_context(cafile=None if root == _SYSTEM else root)
    except OSError:  # an SSLError is one
        raise _no_use("sslrootcert", "certificates") from None
    if root not in {None, _SYSTEM}:
        # From Python 3.13 on the default is strict about the form of certificates (RFC 5280): an authority that an
        # operator made, and names, need not be.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if crl is not None:
        try:
            context.load_verify_locations(cafile=crl)
        except OSError:
            raise _no_use("sslcrl", "list of revoked certificates") from None
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    if certificate is not None:
        try:
            # Without a function openssl would ask a terminal for the password.
            context.load_cert_chain(certificate, places["sslkey"], lambda: asked.get("sslpassword", ""))
        except OSError:
            raise SettingsError(
                "The client certificate and key of the connection to the warehouse cannot be used together.",
                next="Name PEM files as sslcert and sslkey in WAREHOUSE_DSN, and sslpassword if the key has one.",
            ) from None
    _bound_versions(context, asked)
    context.set_alpn_protocols(["postgresql"])
    return context


def _bound_versions(context: ssl.SSLContext, asked: Mapping[str, str]) -> None:
    lowest = asked.get("ssl_min_protocol_version") or os.environ.get("PGSSLMINPROTOCOLVERSION") or "TLSv1.2"
    highest = asked.get("ssl_max_protocol_version") or os.environ.get("PGSSLMAXPROTOCOLVERSION")
    try:
        context.minimum_version = ssl.TLSVersion[lowest.replace(".", "_")]
        if highest:
            context.maximum_version = ssl.TLSVersion[highest.replace(".", "_")]
    except (KeyError, ValueError):
        raise SettingsError(
            "WAREHOUSE_DSN, or a PG… variable, asks for a version of TLS that cannot be had.",
            next="Leave ssl_min_protocol_version and ssl_max_protocol_version out, or name TLSv1.2 or TLSv1.3.",
        ) from None


def _place_of(name: str, asked: Mapping[str, str]) -> str | None:
    """Return the file to use: named in the URL, by the variable, or the default one if it exists."""
    variable, by_default = _PLACES[name]
    named = asked.get(name) or os.environ.get(variable)
    if named:
        return named
    try:
        file = Path.home() / ".postgresql" / by_default
        return str(file) if file.exists() else None
    except (RuntimeError, OSError):  # there is no HOME, or we may not enter it
        return None


def _no_use(name: str, wanted: str) -> SettingsError:
    return SettingsError(
        f"The file that {name} in WAREHOUSE_DSN, or {_PLACES[name][0]}, names holds no {wanted}.",
        next="Name a PEM file in WAREHOUSE_DSN.",
    )
