"""Settings from the environment, checked once at the start.

`KNOWN` is the whole list. The help text and `check` are made from it, and tests compare the README's table and
`deploy/env.example` with it. A secret is kept as a `Secret` and read when it is needed, so that a rotated `…_FILE`
needs no restart.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from worker import setting_values as values
from worker.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from zoneinfo import ZoneInfo

    from worker.setting_values import Secret


@dataclass(frozen=True, slots=True)
class Known:
    """One setting: its variable, its meaning, its default, and whether `…_FILE` may be set instead."""

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
    Known(
        "MIRROR_PATIENCE",
        "how long source or warehouse may stay away",
        "300s (before a first answer the source 60s, warehouse and check 10s)",
    ),
    Known("MIRROR_RESUME_WITHIN", "age up to which a run is resumed, and searches of a backfill count as read", "6h"),
    Known("MIRROR_CUTOFF", "instant from which bodies are HTML", "2022-10-27T00:00:00Z, its first hour ambiguous"),
    Known("MIRROR_TIME_ZONE", "the clinic's time zone, IANA", "UTC"),
    Known(
        "MIRROR_NIGHTLY",
        "cron of the nightly sync under serve, UTC",
        "03:30 of MIRROR_TIME_ZONE every day; 02:00 UTC if that is unset",
    ),
    Known("MIRROR_IGNORE", "what makes no new version: elements, URLs of extensions and of signed links"),
    Known("MIRROR_CA_FILE", "PEM of a private certificate authority of the source"),
    Known("MIRROR_PRACTITIONER_NAMES", "on: store practitioners' names", "off"),
    Known("MIRROR_LOG", "console or json", "console"),
)

FIRST_PATIENCE = timedelta(seconds=10)
"""How long the warehouse, or under `check` the source, may stay away before its first answer."""
SOURCE_FIRST_PATIENCE = timedelta(seconds=60)
"""How long the source may stay away before its first answer in a job: a firewall must not cost the night."""


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
    time_zone_chosen: bool
    nightly: str | None
    ignored: tuple[str, ...]
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
        """Raise SettingsError if nobody chose the place where patients' data are read or written."""
        if self.dsn is not None or self.warehouse_dir_chosen:
            return
        if self.fhir_url is None:
            raise SettingsError(
                "Neither WAREHOUSE_DSN nor WAREHOUSE_DIR is set: no warehouse is named.",
                next="Use the service's settings (see deploy/runbook/commands.md), or set one of them.",
            )
        if not values.is_loopback(self.fhir_url):
            raise SettingsError(
                "Neither WAREHOUSE_DSN nor WAREHOUSE_DIR is set, and the source is a real one.",
                safe="Nothing was read or written: patients' data go only to a place that somebody chose.",
                next="Set WAREHOUSE_DSN to your PostgreSQL, or WAREHOUSE_DIR to a directory for the embedded one.",
            )


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read and check all settings. An empty variable counts as unset. Raises SettingsError naming the variable."""
    env = os.environ if environ is None else environ
    text = {known.variable: env.get(known.variable, "").strip() or None for known in KNOWN}
    fhir_url = values.url("CANVAS_FHIR_URL", text["CANVAS_FHIR_URL"])
    cutoff, cutoff_until = values.cutoff(text["MIRROR_CUTOFF"])
    names = values.one_of("MIRROR_PRACTITIONER_NAMES", text["MIRROR_PRACTITIONER_NAMES"] or "off", "off", "on")
    return Settings(
        fhir_url=fhir_url,
        auth_url=values.url("CANVAS_AUTH_URL", text["CANVAS_AUTH_URL"], strip_slash=False) or derive_auth_url(fhir_url),
        client_id=text["CANVAS_CLIENT_ID"],
        client_secret=values.secret(env, "CANVAS_CLIENT_SECRET"),
        token=values.secret(env, "CANVAS_TOKEN"),
        instance=text["CANVAS_INSTANCE"] or derive_instance(fhir_url),
        dsn=values.secret(env, "WAREHOUSE_DSN"),
        warehouse_dir=Path(text["WAREHOUSE_DIR"] or ".warehouse"),
        warehouse_dir_chosen=text["WAREHOUSE_DIR"] is not None,
        schema=values.schema(text["WAREHOUSE_SCHEMA"] or "canvas"),
        concurrency=values.whole_number("MIRROR_CONCURRENCY", text["MIRROR_CONCURRENCY"] or "16"),
        rate_per_s=values.rate(text["MIRROR_RATE"]),
        patience=values.duration("MIRROR_PATIENCE", text["MIRROR_PATIENCE"] or "300s"),
        resume_within=values.duration("MIRROR_RESUME_WITHIN", text["MIRROR_RESUME_WITHIN"] or "6h"),
        cutoff=cutoff,
        cutoff_until=cutoff_until,
        time_zone=values.zone(text["MIRROR_TIME_ZONE"] or "UTC"),
        time_zone_chosen=text["MIRROR_TIME_ZONE"] is not None,
        nightly=values.cron("MIRROR_NIGHTLY", text["MIRROR_NIGHTLY"]),
        ignored=values.ignored("MIRROR_IGNORE", text["MIRROR_IGNORE"] or ""),
        ca_file=values.file("MIRROR_CA_FILE", text["MIRROR_CA_FILE"]),
        practitioner_names=names == "on",
        log=values.one_of("MIRROR_LOG", text["MIRROR_LOG"] or "console", "console", "json"),
    )


def log_form(environ: Mapping[str, str]) -> str:
    """Return `json` if MIRROR_LOG asks for it, else `console`, even if other settings are wrong."""
    return "json" if environ.get("MIRROR_LOG", "").strip() == "json" else "console"


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Return the variables that look like ours but are unknown, in most cases because of a typing error."""
    known = {k.variable for k in KNOWN} | {f"{k.variable}_FILE" for k in KNOWN if k.secret}
    return sorted(v for v in environ if v.startswith(("CANVAS_", "WAREHOUSE_", "MIRROR_")) and v not in known)


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
    return "loopback" if values.is_loopback(fhir_url) else (urlsplit(fhir_url).hostname or "").lower()
