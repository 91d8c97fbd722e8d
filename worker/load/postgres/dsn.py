"""`WAREHOUSE_DSN` as a URL: whether it is one, whether it names another machine, and how the server is verified.

No message quotes any of it. If a password is not escaped, any part of the URL may be a piece of the password.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from worker.errors import SettingsError
from worker.load.postgres.tls import verified
from worker.setting_values import is_loopback

PORTS = range(1, 65536)
# Parameters of libpq and other drivers, which ours would send to the server as settings. Other names are not quoted,
# because they may be a piece of a password.
_NOT_KNOWN = """
    connect_timeout hostaddr keepalives keepalives_idle keepalives_interval keepalives_count channel_binding
    gssencmode gssdelegation require_auth requirepeer requiressl load_balance_hosts fallback_application_name
    min_protocol_version max_protocol_version scram_client_key scram_server_key servicefile ssl sslcertmode
    sslcompression sslcrldir sslkeylogfile sslsni
"""
NOT_KNOWN = tuple(_NOT_KNOWN.split())
# Each of them replaces a variable that the driver would read.
_AS_THE_EMBEDDED_SERVER_IS = {
    "ssl": "disable",
    "direct_tls": False,
    "target_session_attrs": "any",
    "password": "",
    "gsslib": "gssapi",
}


class EmbeddedUrl(str):
    """The URL of the embedded server. It is our own, so no setting of the user is to blame. `log` is where it logs."""

    __slots__ = ("log",)

    log: Path

    def __new__(cls, url: str, log: Path = Path()) -> Self:
        """Make one of a URL and the directory of the server's log, which `pickle` sets afterwards."""
        made = super().__new__(cls, url)
        made.log = log
        return made


def connect_arguments(dsn: str) -> dict[str, Any]:
    """Return what asyncpg needs to connect.

    Raises SettingsError if `dsn` is not a PostgreSQL URL, or has a parameter that the driver does not know.

    Beyond loopback the server's certificate is verified against the system's authorities, unless the DSN names another
    `sslmode` than verify-full. With `sslrootcert` it is verified against that. PG… variables do not apply to the
    embedded server.
    """
    if isinstance(dsn, EmbeddedUrl):
        return {"dsn": dsn, **_AS_THE_EMBEDDED_SERVER_IS}
    try:
        query = _read(dsn)
    except ValueError:
        if dsn[:1] in {'"', "'"}:
            raise SettingsError(
                "WAREHOUSE_DSN cannot be read as a URL: it stands in quotes.",
                next="Take the quotes away: no shell reads WAREHOUSE_DSN or its file.",
            ) from None
        raise SettingsError(
            "WAREHOUSE_DSN cannot be read as a URL like postgresql://writer@db.example.com:5432/warehouse.",
            next="Check its host and port (PGPORT too), and write / # ? [ ] @ % in a password as"
            " %2F %23 %3F %5B %5D %40 %25.",
        ) from None
    for parameter in NOT_KNOWN:
        if parameter in query:
            raise SettingsError(
                f"WAREHOUSE_DSN asks for {parameter}, which this driver does not know.",
                next=f"Leave {parameter} out of WAREHOUSE_DSN."
                + (" For TLS name sslmode." if parameter in {"ssl", "requiressl"} else ""),
            )
    context = verified(query, local=is_local(dsn))
    return {"dsn": dsn} if context is None else {"dsn": dsn, "ssl": context}


def what_to_check(dsn: str) -> str:
    """Return what to do about a server that is away: the next step of an error."""
    if isinstance(dsn, EmbeddedUrl):
        return f"The same command starts the embedded server again; its log is in {dsn.log}."
    return "Check that PostgreSQL runs at the host and port of WAREHOUSE_DSN, then run the same command again."


def place_of(dsn: str) -> str:
    """Return where the warehouse is, in words without a secret."""
    if isinstance(dsn, EmbeddedUrl):
        return f"the embedded server in {dsn.log.parent}"
    return "the database that WAREHOUSE_DSN names"


def can_do_without_tls(dsn: str) -> bool:
    """Tell whether a server without TLS is accepted: if `sslmode` says so, or by default on this machine."""
    by_default = os.environ.get("PGSSLMODE") or "prefer" if is_local(dsn) else "verify-full"
    mode = parse_qs(urlsplit(dsn).query).get("sslmode", [by_default])[-1]
    return mode in {"disable", "allow", "prefer"}


def is_local(dsn: str) -> bool:
    """Tell whether every host of the DSN is this machine: a loopback address or a Unix socket."""
    parts = urlsplit(dsn)
    return all(is_loopback(url) for url in _hosts(parts.netloc, parse_qs(parts.query)))


def _read(dsn: str) -> dict[str, list[str]]:
    """Return the parameters of the DSN. Raises ValueError for what asyncpg or urlsplit refuse or misread."""
    parts = urlsplit(dsn)
    query = parse_qs(parts.query, strict_parsing=True) if parts.query else {}
    if parts.scheme not in {"postgresql", "postgres"}:
        raise ValueError("another scheme")
    if parts.fragment or "@" in parts.path or parts.netloc.count("@") > 1:
        # An unescaped password, whose rest would be taken for a host.
        raise ValueError("a character of a password that ends the part it is in")
    for host in _hosts(parts.netloc, query):
        if urlsplit(host).hostname is None:
            raise ValueError("no host between two commas")
        _must_be_port(urlsplit(host).port)
    for ports in (*query.get("port", []), os.environ.get("PGPORT", "")):
        for port in ports.split(",") if ports else ():
            _must_be_port(int(port))
    return query


def _must_be_port(port: int | None) -> None:
    if port is not None and port not in PORTS:
        raise ValueError("out of range")


def _hosts(netloc: str, query: dict[str, list[str]]) -> list[str]:
    """Return every host in the DSN, except sockets, each as a URL."""
    authority = netloc.rpartition("@")[2]
    hosts = [host for value in query.get("host", []) for host in value.split(",") if not host.startswith("/")]
    return [f"x://{host}" for host in [*(authority.split(",") if authority else []), *hosts]]
