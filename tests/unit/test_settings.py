"""Settings: what holds by default, what is refused, and that each refusal names its variable and the next step."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from worker.errors import EXIT_USAGE, SettingsError
from worker.setting_values import CUTOFF, CUTOFF_UNTIL, Secret, is_loopback
from worker.settings import (
    KNOWN,
    Settings,
    derive_auth_url,
    derive_instance,
    read_settings,
    unknown_variables,
)

SOURCE = {"CANVAS_FHIR_URL": "https://fumage-acme.example.com", "CANVAS_TOKEN": "t"}


def refused(environ: dict[str, str]) -> SettingsError:
    with pytest.raises(SettingsError) as raised:
        read_settings(environ)
    assert raised.value.exit_code == EXIT_USAGE
    assert raised.value.next
    return raised.value


def test_nothing_set_is_all_defaults() -> None:
    assert read_settings({}) == Settings(
        fhir_url=None,
        auth_url=None,
        client_id=None,
        client_secret=None,
        token=None,
        instance=None,
        dsn=None,
        warehouse_dir=Path(".warehouse"),
        warehouse_dir_chosen=False,
        schema="canvas",
        concurrency=16,
        rate_per_s=None,
        patience=timedelta(seconds=300),
        resume_within=timedelta(hours=6),
        cutoff=CUTOFF,
        cutoff_until=CUTOFF_UNTIL,
        time_zone=ZoneInfo("UTC"),
        time_zone_chosen=False,
        nightly=None,
        ignored=(),
        ca_file=None,
        practitioner_names=False,
        log="console",
    )


@pytest.mark.parametrize("blank", ["", " ", "\t\n"])
def test_an_empty_variable_is_unset(blank: str) -> None:
    everything = {known.variable: blank for known in KNOWN}
    everything |= {f"{known.variable}_FILE": blank for known in KNOWN if known.secret}
    assert read_settings(everything) == read_settings({})


def test_every_setting_is_taken(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.touch()
    settings = read_settings(
        {
            "CANVAS_FHIR_URL": "https://fumage-acme.example.com/r4/",
            "CANVAS_AUTH_URL": "https://acme.example.com/oauth/token/",
            "CANVAS_CLIENT_ID": " id ",
            "CANVAS_CLIENT_SECRET": "secret",
            "CANVAS_TOKEN": "token",
            "CANVAS_INSTANCE": "acme",
            "WAREHOUSE_DSN": "postgresql://db/warehouse",
            "WAREHOUSE_DIR": "/srv/warehouse",
            "WAREHOUSE_SCHEMA": "canvas_north",
            "MIRROR_CONCURRENCY": "4",
            "MIRROR_RATE": "2.5",
            "MIRROR_PATIENCE": "10m",
            "MIRROR_RESUME_WITHIN": "1.5 d",
            "MIRROR_CUTOFF": "2022-10-26T17:00:00-08:00",
            "MIRROR_TIME_ZONE": "America/Los_Angeles",
            "MIRROR_NIGHTLY": "30 1 * * 1-5",
            "MIRROR_IGNORE": "note, https://files.example.com/",
            "MIRROR_CA_FILE": str(ca_file),
            "MIRROR_PRACTITIONER_NAMES": "on",
            "MIRROR_LOG": "json",
        }
    )
    cutoff = datetime(2022, 10, 27, 1, tzinfo=UTC)
    assert settings == Settings(
        fhir_url="https://fumage-acme.example.com/r4",
        auth_url="https://acme.example.com/oauth/token/",
        client_id="id",
        client_secret=Secret("CANVAS_CLIENT_SECRET", "secret"),
        token=Secret("CANVAS_TOKEN", "token"),
        instance="acme",
        dsn=Secret("WAREHOUSE_DSN", "postgresql://db/warehouse"),
        warehouse_dir=Path("/srv/warehouse"),
        warehouse_dir_chosen=True,
        schema="canvas_north",
        concurrency=4,
        rate_per_s=2.5,
        patience=timedelta(minutes=10),
        resume_within=timedelta(hours=36),
        cutoff=cutoff,
        cutoff_until=cutoff,
        time_zone=ZoneInfo("America/Los_Angeles"),
        time_zone_chosen=True,
        nightly="30 1 * * 1-5",
        ignored=("note", "https://files.example.com/"),
        ca_file=ca_file,
        practitioner_names=True,
        log="json",
    )


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        *[
            (variable, value)
            for variable in ("CANVAS_FHIR_URL", "CANVAS_AUTH_URL")
            for value in (
                "acme.example.com",
                "ftp://acme.example.com",
                "https://",
                "https://[::1",
                "https://acme.example.com:99999",
                "http://acme.example.com",
                "http://10.0.0.1",
                "http://localhost.example.com",
                "https://user:word@acme.example.com",
                "https://:word@acme.example.com",
                "https://acme.example.com?x=1",
                "https://acme.example.com#x",
            )
        ],
        *[
            ("WAREHOUSE_SCHEMA", value)
            for value in ("Canvas", "1canvas", "a-b", 'a"; DROP', "pg_x", "information_schema", "a" * 42, "a.b")
        ],
        *[
            ("WAREHOUSE_SCHEMA", value)
            for value in ("canvas_ops", "_ops", "user", "order", "all", "current_user", "verbose")
        ],
        *[("MIRROR_CONCURRENCY", value) for value in ("0", "-1", "1001", "2.5", "many", "١٦", "9" * 5000)],
        *[("MIRROR_RATE", value) for value in ("0", "0.0", "-1", "fast", "1e3", "nan", "inf")],
        *[
            (variable, value)
            for variable in ("MIRROR_PATIENCE", "MIRROR_RESUME_WITHIN")
            for value in ("soon", "-1s", "5 weeks", "1h30m", "s", "9" * 400, "99999999d")
        ],
        *[
            ("MIRROR_CUTOFF", value)
            for value in ("2022-10-27", "2022-10-27T00:00:00", "then", "0001-01-01T00:00:00+01:00")
        ],
        *[
            ("MIRROR_TIME_ZONE", value)
            for value in ("Mars/Olympus", "PST8PDT8", "../../etc/passwd", "/etc/passwd", "America", "x" * 300)
        ],
        *[("MIRROR_NIGHTLY", value) for value in ("daily", "0 2 * *", "0 2 * * * *", "@daily")],
        *[("MIRROR_CA_FILE", value) for value in ("/no/such/file", "/", "x" * 300)],
        ("MIRROR_PRACTITIONER_NAMES", "yes"),
        ("MIRROR_LOG", "xml"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_variable(variable: str, value: str) -> None:
    error = refused({variable: value})
    assert variable in error.what
    assert variable in error.next


@pytest.mark.parametrize("value", ["https://user:canary@acme.example.com", "http://canary.example.com", "canary"])
def test_a_refused_value_is_not_quoted(value: str) -> None:
    """It may be a secret that was put into the wrong variable."""
    for variable in ("CANVAS_FHIR_URL", "WAREHOUSE_SCHEMA", "MIRROR_RATE", "MIRROR_CUTOFF", "MIRROR_LOG"):
        if variable != "WAREHOUSE_SCHEMA" or value != "canary":
            error = refused({variable: value})
            assert "canary" not in f"{error!r} {error.what} {error.safe} {error.next}"


# Secrets

SECRETS = [known.variable for known in KNOWN if known.secret]


def test_the_secrets_are_those() -> None:
    assert SECRETS == ["CANVAS_CLIENT_SECRET", "CANVAS_TOKEN", "WAREHOUSE_DSN"]


def secret_of(settings: Settings, variable: str) -> Secret:
    fields = {
        "CANVAS_CLIENT_SECRET": settings.client_secret,
        "CANVAS_TOKEN": settings.token,
        "WAREHOUSE_DSN": settings.dsn,
    }
    found = fields[variable]
    assert found is not None
    return found


@pytest.mark.parametrize("variable", SECRETS)
def test_a_secrets_file_is_read_anew_each_time(variable: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("first\n")
    secret = secret_of(read_settings({f"{variable}_FILE": str(file)}), variable)
    assert secret.read() == "first"
    file.write_text("  second ")
    assert secret.read() == "second"
    file.unlink()
    with pytest.raises(SettingsError, match=f"{variable}_FILE cannot be read"):
        secret.read()


@pytest.mark.parametrize("variable", SECRETS)
def test_a_mark_at_the_beginning_of_a_file_is_no_part_of_the_secret(variable: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("secret\r\n", encoding="utf-8-sig")
    assert secret_of(read_settings({f"{variable}_FILE": str(file)}), variable).read() == "secret"


@pytest.mark.parametrize("variable", SECRETS)
def test_a_file_that_is_no_text_is_to_be_written_anew(variable: str, tmp_path: Path) -> None:
    """Nothing is wrong with its path, nor with this user."""
    file = tmp_path / "secret"
    file.write_text("secret", encoding="utf-16")
    error = refused({f"{variable}_FILE": str(file)})
    assert "UTF-8" in error.what
    assert "again" in error.next


@pytest.mark.parametrize("variable", SECRETS)
@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe"])
def test_a_secrets_file_must_hold_something_readable(variable: str, content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    assert f"{variable}_FILE" in refused({f"{variable}_FILE": str(file)}).what


@pytest.mark.parametrize("variable", SECRETS)
def test_a_secret_is_given_in_one_place(variable: str) -> None:
    error = refused({variable: "canary", f"{variable}_FILE": "/dev/null"})
    assert variable in error.what
    assert f"{variable}_FILE" in error.what


def test_a_secret_never_shows_in_a_repr() -> None:
    settings = read_settings({"CANVAS_TOKEN": "canary", "CANVAS_CLIENT_SECRET": "canary", "WAREHOUSE_DSN": "canary"})
    assert "canary" not in repr(settings)


# What follows from the source's URL


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://fumage-acme.example.com", "https://acme.example.com/auth/token/"),
        ("https://FUMAGE-Acme.example.com/", "https://acme.example.com/auth/token/"),
        ("https://fumage-acme.example.com:8443/r4", "https://acme.example.com:8443/auth/token/"),
        ("https://acme.fumage-x.example.com", "https://acme.fumage-x.example.com/auth/token/"),
        ("http://127.0.0.1:8090", "http://127.0.0.1:8090/auth/token/"),
        ("http://[::1]:8090", "http://[::1]:8090/auth/token/"),
        (None, None),
    ],
)
def test_the_token_endpoint_is_on_the_instance(url: str | None, expected: str | None) -> None:
    assert derive_auth_url(url) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://Fumage-ACME.example.com:8443/r4", "fumage-acme.example.com"),
        ("http://127.0.0.1:8090", "loopback"),
        ("http://localhost", "loopback"),
        ("http://[::1]:1", "loopback"),
        (None, None),
    ],
)
def test_the_instance_is_the_host(url: str | None, expected: str | None) -> None:
    assert derive_instance(url) == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("[::1]", True),
        ("localhost", True),
        ("LOCALHOST", True),
        ("localhost.", True),
        ("sub.localhost", True),
        ("sub.localhost.", True),
        ("128.0.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 - nothing listens here
        ("[::2]", False),
        ("notlocalhost", False),
        ("localhost.example.com", False),
        ("127.0.0.1.example.com", False),
        ("127.1", False),
        ("example.com", False),
    ],
)
def test_loopback_is_this_machine_and_nothing_that_looks_like_it(host: str, expected: bool) -> None:
    assert is_loopback(f"http://{host}:8090/x") is expected


# What a command needs


def test_a_source_is_needed_to_read_from() -> None:
    with pytest.raises(SettingsError, match="CANVAS_FHIR_URL is not set"):
        read_settings({}).need_source()


@pytest.mark.parametrize("more", [{}, {"CANVAS_CLIENT_ID": "a"}, {"CANVAS_CLIENT_SECRET": "a"}])
def test_credentials_are_needed(more: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="CANVAS_CLIENT_ID"):
        read_settings({"CANVAS_FHIR_URL": "https://a.example.com", **more}).need_source()


@pytest.mark.parametrize("more", [{"CANVAS_TOKEN": "t"}, {"CANVAS_CLIENT_ID": "a", "CANVAS_CLIENT_SECRET": "b"}])
def test_a_token_or_a_client_will_do(more: dict[str, str]) -> None:
    settings = read_settings({"CANVAS_FHIR_URL": "https://a.example.com/", **more})
    assert settings.need_source() == "https://a.example.com"
    assert settings.need_instance() == "a.example.com"


@pytest.mark.parametrize(
    ("environ", "allowed"),
    [
        (SOURCE, False),
        (SOURCE | {"WAREHOUSE_DIR": "here"}, True),
        (SOURCE | {"WAREHOUSE_DSN": "postgresql://db"}, True),
        (SOURCE | {"CANVAS_FHIR_URL": "http://127.0.0.1:1"}, True),
        ({}, False),
        ({"WAREHOUSE_DIR": "here"}, True),
    ],
)
def test_patients_data_go_only_where_somebody_chose(environ: dict[str, str], allowed: bool) -> None:
    settings = read_settings(environ)
    if allowed:
        settings.need_warehouse_place()
        return
    with pytest.raises(SettingsError, match="WAREHOUSE_DSN nor WAREHOUSE_DIR"):
        settings.need_warehouse_place()


def test_a_variable_that_looks_like_ours_and_is_not_is_named() -> None:
    environ = {"CANVAS_FHIR_URI": "x", "MIRROR_RATES": "x", "WAREHOUSE_DSN_FILE": "x", "CANVAS_TOKEN": "x", "PATH": "x"}
    assert unknown_variables(environ) == ["CANVAS_FHIR_URI", "MIRROR_RATES"]


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.variable)
def test_every_setting_says_what_it_means(known: object) -> None:
    assert getattr(known, "meaning", "")


def test_the_process_environment_is_what_is_read_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in list(os.environ):
        if variable.startswith(("CANVAS_", "WAREHOUSE_", "MIRROR_")):
            monkeypatch.delenv(variable)
    monkeypatch.setenv("MIRROR_CONCURRENCY", "3")
    assert read_settings().concurrency == 3
