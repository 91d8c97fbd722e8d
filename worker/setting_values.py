"""Reads and checks the values of settings. Each function raises a SettingsError that names the variable."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from worker.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

# Canvas documents "10/26/2022 @ 17:00 PST", but that day was in daylight time. So it means one of these two instants.
CUTOFF = datetime(2022, 10, 27, 0, 0, tzinfo=UTC)
CUTOFF_UNTIL = datetime(2022, 10, 27, 1, 0, tzinfo=UTC)
LONGEST = timedelta(days=3660)
# Words that PostgreSQL 15 to 18 accepts as a name only in quotes.
_RESERVED = """
    all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation
    column concurrently constraint create cross current_catalog current_date current_role current_schema
    current_time current_timestamp current_user default deferrable desc distinct do else end except false fetch for
    foreign freeze from full grant group having ilike in initially inner intersect into is isnull join lateral
    leading left like limit localtime localtimestamp natural not notnull null offset on only or order outer overlaps
    placing primary references returning right select session_user similar some symmetric system_user table
    tablesample then to trailing true union unique user using variadic verbose when where window with
"""
RESERVED = frozenset(_RESERVED.split())
_SEEN_ELEMENTS = frozenset(("id", "resourceType", "status", "sent", "received", "sender", "recipient", "payload"))
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a secret is. `read()` returns its present value. A repr never shows it."""

    variable: str
    value: str | None = None
    file: Path | None = None

    def read(self) -> str:
        """Return the secret; if it is in a file, read the file each time. Raises SettingsError if that fails."""
        if self.file is None:
            return self.value or ""
        try:
            return self.file.read_text(encoding="utf-8-sig").strip()  # some editors begin a file with a byte order mark
        except UnicodeDecodeError:
            why, step = "it is not text in UTF-8", "Write the file in {} again, in UTF-8 (PowerShell: -Encoding utf8)."
        except OSError as error:
            why, step = type(error).__name__, "Check the path in {} and that this user may read it."
        raise SettingsError(
            f"{self.variable}_FILE cannot be read: {why}.",
            safe="What was landed is kept; nothing more was read.",  # it may have been there when the run began
            next=step.format(f"{self.variable}_FILE"),
        )

    def __repr__(self) -> str:
        """Return the variable's name, never the secret."""
        return f"Secret({self.variable})"


def secret(env: Mapping[str, str], variable: str) -> Secret | None:
    """Return the secret in a variable, or in the file that its `…_FILE` names; None if neither is set."""
    value, path = env.get(variable, "").strip(), env.get(f"{variable}_FILE", "").strip()
    if value and path:
        raise SettingsError(f"Both {variable} and {variable}_FILE are set.", next="Unset one of them.")
    if not value and not path:
        return None
    found = Secret(variable, value or None, Path(path) if path else None)
    if not found.read():
        raise SettingsError(f"The file in {variable}_FILE is empty.", next="Write the secret into it.")
    return found


def url(variable: str, text: str | None, *, strip_slash: bool = True) -> str | None:
    """Return an https URL (http for loopback hosts), by default without a trailing slash."""
    if text is None:
        return None
    wrong = None
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, wrong = None, "is not a URL"
    if wrong is None and (not host or parts.scheme not in {"http", "https"}):
        wrong = "is not an http(s) URL"
    elif wrong is None and (parts.username or parts.password or parts.query or parts.fragment):
        wrong = "must not hold credentials, a query or a fragment"
    elif wrong is None and parts.scheme == "http" and not is_loopback(text):
        wrong = "is plain http: patients' data and the token would travel unencrypted"
    if wrong:
        raise SettingsError(
            f"{variable} {wrong}.", next=f"Set {variable} to a URL like https://fumage-acme.example.com."
        )
    return text.rstrip("/") if strip_slash else text


def is_loopback(url: str) -> bool:
    """Tell whether the URL's host is this machine: 127.0.0.0/8, ::1, or by name (RFC 6761 §6.3) `[*.]localhost[.]`."""
    host = (urlsplit(url).hostname or "").removesuffix(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def schema(text: str) -> str:
    """Return a name that needs no quotes in SQL, has room for `_ops` after it, and does not end in `_ops` itself."""
    is_plain = re.fullmatch(r"[a-z_][a-z0-9_]{0,40}", text) is not None
    if not is_plain or text.startswith("pg_") or text.endswith("_ops") or text in {*RESERVED, "information_schema"}:
        raise SettingsError(
            "WAREHOUSE_SCHEMA must be a plain name (lower-case letters, digits and underscores, at most 41) that is no"
            " word of SQL and does not end in _ops, as the worker's own schemas do.",
            next="For example: WAREHOUSE_SCHEMA=canvas_north.",
        )
    return text


def whole_number(variable: str, text: str) -> int:
    """Return a number from 1 to 1000."""
    if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= 1000:
        raise SettingsError(f"{variable} must be a whole number from 1 to 1000.", next=f"For example: {variable}=16.")
    return int(text)


def rate(text: str | None) -> float | None:
    """Return a number of requests per second above 0, None for no limit."""
    if text is None:
        return None
    if not re.fullmatch(r"\d+(\.\d+)?", text) or float(text) <= 0:
        raise SettingsError(
            "MIRROR_RATE must be a number above 0 (requests per second).", next="For example: MIRROR_RATE=5."
        )
    return float(text)


def duration(variable: str, text: str) -> timedelta:
    """Return a duration: `300s`, `10m`, `6h`, `2d`, or a number of seconds."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d+)?)\s*(s|m|h|d)?", text)
    duration = timedelta(seconds=float(match[1]) * _UNIT_S[match[2] or "s"]) if match else None
    if duration is None or duration > LONGEST:
        raise SettingsError(
            f"{variable} must be a duration: a number followed by s, m, h or d (seconds without), at most 10 years.",
            next=f"For example: {variable}=10m.",
        )
    return duration


def cutoff(text: str | None) -> tuple[datetime, datetime]:
    """Return two instants in UTC: the one from which bodies may be HTML, and the one from which they are.

    The two are equal if the setting names one.
    """
    if text is None:
        return CUTOFF, CUTOFF_UNTIL
    try:
        written = datetime.fromisoformat(text)
        instant = written.astimezone(UTC) if written.tzinfo is not None else None
    except (ValueError, OverflowError):
        instant = None
    if instant is None:
        raise SettingsError(
            "MIRROR_CUTOFF must be an ISO 8601 instant with its offset.",
            next="For example: MIRROR_CUTOFF=2022-10-27T00:00:00Z.",
        )
    return instant, instant


def zone(text: str) -> ZoneInfo:
    """Return an IANA time zone."""
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise SettingsError(
            "MIRROR_TIME_ZONE is not an IANA time zone.", next="For example: MIRROR_TIME_ZONE=America/Los_Angeles."
        ) from None


def cron(variable: str, text: str | None) -> str | None:
    """Return a cron expression of five fields, or None. `worker.service.cron` reads the fields."""
    if text is not None and len(text.split()) != 5:
        raise SettingsError(
            f"{variable} must be a cron expression of five fields, in UTC.", next=f"Set {variable}='0 2 * * *'."
        )
    return text


def ignored(variable: str, text: str) -> tuple[str, ...]:
    """Return top-level elements and URLs. Elements from which a column is made are refused."""
    items = tuple(text.replace(",", " ").split())
    for item in items:
        if item in _SEEN_ELEMENTS:
            raise SettingsError(f"{variable} names {item}, which analysts see.", next=f"Remove {item} from it.")
        if not re.fullmatch(r"_?[a-z][A-Za-z]*|[a-z]+:\S{4,}", item):
            raise SettingsError(
                f"{variable} names neither an element of a Communication nor a URL.",
                next="Name elements (note) and URLs (https://example.com/read-at), with blanks between.",
            )
    return items


def file(variable: str, text: str | None) -> Path | None:
    """Return the path of a file that exists."""
    if text is None:
        return None
    try:
        found = Path(text).is_file()
    except OSError:  # this user may not enter a directory of the path
        found = False
    if not found:
        raise SettingsError(
            f"The file that {variable} names does not exist, or this user cannot reach it.", next=f"Check {variable}."
        )
    return Path(text)


def one_of(variable: str, text: str, *words: str) -> str:
    """Return `text` if it is one of the words."""
    if text not in words:
        raise SettingsError(f"{variable} must be {' or '.join(words)}.", next=f"Set {variable}={words[0]}.")
    return text
