"""Settings from the environment, checked once at the start.

`KNOWN` is the whole list: the help text and `check` are made from it, and tests hold the README's table and
`deploy/env.example` against it. A secret is kept as a `Secret` and read when it is needed, so that a rotated `…_FILE`
needs no restart.
"""

from __future__ import annotations

import os
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


@dataclass(frozen=True, slots=True)
class Known:
    """One setting: its variable, what it means, what holds if it is unset, and whether `…_FILE` may stand in."""

    variable: str
    meaning: str
    default: str = ""
    secret: bool = False


KNOWN = (
    Known("CANVAS_FHIR_URL", "base URL of the FHIR API, https (http for loopback hosts)"),
    Known("CANVAS_AUTH_URL", "the complete token endpoint", "derived from CANVAS_FHIR_URL"),
    Known("CANVAS_CLIENT_ID", "client of the client-credentials grant"),
    Known("CANVAS_CLIENT_SECRET", "its secret", secret=True),
    Known("CANVAS_TOKEN", "a ready bearer token instead of a client", secret=True),
    Known("CANVAS_INSTANCE", "identity the schema is bound to at its first run", "the FHIR URL's host"),
    Known("WAREHOUSE_DSN", "PostgreSQL 15–18 to write to", "the embedded server", secret=True),
    Known("WAREHOUSE_DIR", "where the embedded server keeps its data", ".warehouse (must be set beyond loopback)"),
    Known("WAREHOUSE_SCHEMA", "schema for analysts; the worker's is the same with _ops", "canvas"),
    Known("MIRROR_CONCURRENCY", "requests under way at once, for the whole run", "16"),
    Known("MIRROR_RATE", "requests per second, for the whole run", "no limit"),
    Known("MIRROR_PATIENCE", "how long source or warehouse may stay away", "300s (10s before a first answer)"),
    Known("MIRROR_RESUME_WITHIN", "how old a died run, or what a backfill has read, may be to go on from it", "6h"),
    Known("MIRROR_CUTOFF", "instant from which bodies are HTML", "2022-10-27T00:00:00Z, its first hour ambiguous"),
    Known("MIRROR_TIME_ZONE", "the clinic's time zone, IANA", "UTC"),
    Known("MIRROR_NIGHTLY", "cron of the nightly sync under serve, UTC", "0 2 * * *"),
    Known("MIRROR_CA_FILE", "PEM of a private certificate authority of the source"),
    Known("MIRROR_PRACTITIONER_NAMES", "on: store practitioners' names", "off"),
    Known("MIRROR_LOG", "console or json", "console"),
)

# What Canvas documents is "10/26/2022 @ 17:00 PST" on a day of daylight time: it names one of these two instants.
CUTOFF = datetime(2022, 10, 27, 0, 0, tzinfo=UTC)
CUTOFF_UNTIL = datetime(2022, 10, 27, 1, 0, tzinfo=UTC)
FIRST_PATIENCE = timedelta(seconds=10)
LONGEST = timedelta(days=3660)
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret's whereabouts. `read()` returns it as it is now; it never shows in a repr."""

    variable: str
    value: str | None = None
    file: Path | None = None

    def read(self) -> str:
        """Return the secret, from its file anew each time. Raises SettingsError if the file cannot be read."""
        if self.file is None:
            return self.value or ""
        try:
            return self.file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"{self.variable}_FILE cannot be read: {type(error).__name__}.",
                safe="What was landed is kept; nothing more was read.",  # it may have been there when the run began
                next=f"Check the path in {self.variable}_FILE and that this user may read it.",
            ) from None

    def __repr__(self) -> str:
        """Return the variable's name, never the secret."""
        return f"Secret({self.variable})"


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, checked. Durations are timedeltas, instants aware and in UTC."""

    fhir_url: str | None
    auth_url: str | None
    client_id: str | None
    client_secret: Secret | None
    token: Secret | None
    instance: str | None
    dsn: Secret | None
    warehouse_dir: Path
    warehouse_dir_chosen: bool
    schema: str
    concurrency: int
    rate_per_s: float | None
    patience: timedelta
    resume_within: timedelta
    cutoff: datetime
    cutoff_until: datetime
    time_zone: ZoneInfo
    nightly: str
    ca_file: Path | None
    practitioner_names: bool
    log: str

    def need_source(self) -> str:
        """Return the FHIR base URL without a trailing slash. Raises SettingsError if no source is configured."""
        if self.fhir_url is None:
            raise SettingsError(
                "CANVAS_FHIR_URL is not set: nowhere to read messages from.",
                next="Set it to your instance's FHIR URL, or try `message-mirror demo`.",
            )
        if self.token is None and (self.client_id is None or self.client_secret is None):
            raise SettingsError(
                "No credentials: neither CANVAS_TOKEN nor CANVAS_CLIENT_ID with CANVAS_CLIENT_SECRET is set.",
                next="Set CANVAS_CLIENT_ID and CANVAS_CLIENT_SECRET (or CANVAS_CLIENT_SECRET_FILE).",
            )
        return self.fhir_url

    def need_instance(self) -> str:
        """Return the identity of the source. Raises SettingsError if no source is configured."""
        self.need_source()
        if self.instance is None:
            raise SettingsError("CANVAS_INSTANCE is empty.", next="Unset it or name the instance.")
        return self.instance

    def need_warehouse_place(self) -> None:
        """Refuse to put patients' data where nobody chose to. Raises SettingsError."""
        loopback_source = self.fhir_url is None or is_loopback(self.fhir_url)
        if self.dsn is None and not self.warehouse_dir_chosen and not loopback_source:
            raise SettingsError(
                "Neither WAREHOUSE_DSN nor WAREHOUSE_DIR is set, and the source is a real one.",
                safe="Nothing was read and nothing written: patients' data only go to a place that somebody chose.",
                next="Set WAREHOUSE_DSN to your PostgreSQL, or WAREHOUSE_DIR to a directory for the embedded one.",
            )


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read and check all settings. An empty variable counts as unset. Raises SettingsError naming the variable."""
    env = os.environ if environ is None else environ
    text = {known.variable: env.get(known.variable, "").strip() or None for known in KNOWN}
    fhir_url = _url("CANVAS_FHIR_URL", text["CANVAS_FHIR_URL"])
    cutoff, cutoff_until = _cutoff(text["MIRROR_CUTOFF"])
    return Settings(
        fhir_url=fhir_url,
        auth_url=_url("CANVAS_AUTH_URL", text["CANVAS_AUTH_URL"], strip_slash=False) or derive_auth_url(fhir_url),
        client_id=text["CANVAS_CLIENT_ID"],
        client_secret=_secret(env, "CANVAS_CLIENT_SECRET"),
        token=_secret(env, "CANVAS_TOKEN"),
        instance=text["CANVAS_INSTANCE"] or derive_instance(fhir_url),
        dsn=_secret(env, "WAREHOUSE_DSN"),
        warehouse_dir=Path(text["WAREHOUSE_DIR"] or ".warehouse"),
        warehouse_dir_chosen=text["WAREHOUSE_DIR"] is not None,
        schema=_schema(text["WAREHOUSE_SCHEMA"] or "canvas"),
        concurrency=_whole_number("MIRROR_CONCURRENCY", text["MIRROR_CONCURRENCY"] or "16"),
        rate_per_s=_rate(text["MIRROR_RATE"]),
        patience=_duration("MIRROR_PATIENCE", text["MIRROR_PATIENCE"] or "300s"),
        resume_within=_duration("MIRROR_RESUME_WITHIN", text["MIRROR_RESUME_WITHIN"] or "6h"),
        cutoff=cutoff,
        cutoff_until=cutoff_until,
        time_zone=_zone(text["MIRROR_TIME_ZONE"] or "UTC"),
        nightly=_cron("MIRROR_NIGHTLY", text["MIRROR_NIGHTLY"] or "0 2 * * *"),
        ca_file=_file("MIRROR_CA_FILE", text["MIRROR_CA_FILE"]),
        practitioner_names=_one_of("MIRROR_PRACTITIONER_NAMES", text["MIRROR_PRACTITIONER_NAMES"] or "off", "off", "on")
        == "on",
        log=_one_of("MIRROR_LOG", text["MIRROR_LOG"] or "console", "console", "json"),
    )


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Name the variables that look like ours and are not: most often a typing error."""
    known = {k.variable for k in KNOWN} | {f"{k.variable}_FILE" for k in KNOWN if k.secret}
    return sorted(v for v in environ if v.startswith(("CANVAS_", "WAREHOUSE_", "MIRROR_")) and v not in known)


def is_loopback(url: str) -> bool:
    """Tell whether the URL's host is this machine: 127.0.0.0/8, ::1, or by name (RFC 6761 §6.3) `[*.]localhost[.]`."""
    host = (urlsplit(url).hostname or "").removesuffix(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def derive_auth_url(fhir_url: str | None) -> str | None:
    """Return the token endpoint: the FHIR URL without `fumage-` before its host, and `/auth/token/` (Canvas docs)."""
    if fhir_url is None:
        return None
    parts = urlsplit(fhir_url)
    return f"{parts.scheme}://{parts.netloc.lower().removeprefix('fumage-')}/auth/token/"


def derive_instance(fhir_url: str | None) -> str | None:
    """Return the URL's host in lower case; `loopback` for any loopback host and port, since those change."""
    if fhir_url is None:
        return None
    return "loopback" if is_loopback(fhir_url) else (urlsplit(fhir_url).hostname or "").lower()


def _secret(env: Mapping[str, str], variable: str) -> Secret | None:
    value, file = env.get(variable, "").strip(), env.get(f"{variable}_FILE", "").strip()
    if value and file:
        raise SettingsError(f"Both {variable} and {variable}_FILE are set.", next="Unset one of them.")
    if not value and not file:
        return None
    secret = Secret(variable, value or None, Path(file) if file else None)
    if not secret.read():
        raise SettingsError(f"The file in {variable}_FILE is empty.", next="Write the secret into it.")
    return secret


def _url(variable: str, text: str | None, *, strip_slash: bool = True) -> str | None:
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


def _schema(text: str) -> str:
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,40}", text) or text.startswith("pg_") or text == "information_schema":
        raise SettingsError(
            "WAREHOUSE_SCHEMA must be a plain name: lower-case letters, digits and underscores, at most 41.",
            next="Set WAREHOUSE_SCHEMA=canvas_north, say.",
        )
    return text


def _whole_number(variable: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= 1000:
        raise SettingsError(f"{variable} must be a whole number from 1 to 1000.", next=f"Set {variable}=16, say.")
    return int(text)


def _rate(text: str | None) -> float | None:
    if text is None:
        return None
    if not re.fullmatch(r"\d+(\.\d+)?", text) or float(text) <= 0:
        raise SettingsError(
            "MIRROR_RATE must be a number above 0 (requests per second).", next="Set MIRROR_RATE=5, say."
        )
    return float(text)


def _duration(variable: str, text: str) -> timedelta:
    match = re.fullmatch(r"(\d{1,9}(?:\.\d+)?)\s*(s|m|h|d)?", text)
    duration = timedelta(seconds=float(match[1]) * _UNIT_S[match[2] or "s"]) if match else None
    if duration is None or duration > LONGEST:
        raise SettingsError(
            f"{variable} must be a duration: a number with s, m, h or d (seconds if bare), at most 10 years.",
            next=f"Set {variable}=10m, say.",
        )
    return duration


def _cutoff(text: str | None) -> tuple[datetime, datetime]:
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
            next="Set MIRROR_CUTOFF=2022-10-27T00:00:00Z, say.",
        )
    return instant, instant


def _zone(text: str) -> ZoneInfo:
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise SettingsError(
            "MIRROR_TIME_ZONE is not an IANA time zone.", next="Set MIRROR_TIME_ZONE=America/Los_Angeles, say."
        ) from None


def _cron(variable: str, text: str) -> str:
    if len(text.split()) != 5:
        raise SettingsError(
            f"{variable} must be a cron expression of five fields, in UTC.", next=f"Set {variable}='0 2 * * *'."
        )
    return text


def _file(variable: str, text: str | None) -> Path | None:
    if text is None:
        return None
    try:
        found = Path(text).is_file()
    except OSError:  # a directory on the way that this user may not enter
        found = False
    if not found:
        raise SettingsError(
            f"The file that {variable} names does not exist, or this user cannot reach it.", next=f"Check {variable}."
        )
    return Path(text)


def _one_of(variable: str, text: str, *words: str) -> str:
    if text not in words:
        raise SettingsError(f"{variable} must be {' or '.join(words)}.", next=f"Set {variable}={words[0]}.")
    return text
