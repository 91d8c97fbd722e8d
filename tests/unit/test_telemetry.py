"""Nothing gets into the log but what the allow-list names, whoever writes and whatever goes wrong."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from worker.telemetry import ALLOWED_FIELDS, configure_logging, get_logger, keep_allowed_fields, where

if TYPE_CHECKING:
    from collections.abc import Iterator

CANARY = "my chest hurts"
FORMS = ["console", "json"]


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Leave the logging of the other tests as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def fail() -> None:
    """Raise an error whose message, argument and local variable quote a patient."""
    words = CANARY
    raise ValueError(f"cannot read {words}", words)


@pytest.mark.parametrize("form", FORMS)
def test_only_allowed_fields_get_through(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(form)
    get_logger().info("progress", entries=7, body_text=CANARY, patient_id=CANARY, url=CANARY, exc_info=False)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert CANARY not in captured.err
    assert "progress" in captured.err
    assert "7" in captured.err


@pytest.mark.parametrize("form", FORMS)
def test_an_exception_leaves_neither_its_words_nor_its_variables(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(form)
    try:
        fail()
    except ValueError as error:
        get_logger().error("it failed", exc_info=True, exception=CANARY, where=where(error))
        get_logger().exception("it failed", stack_info=True)
        get_logger().error("it failed", exc_info=error)
    captured = capsys.readouterr()
    assert captured.err.count("it failed") == 3
    assert CANARY not in captured.err
    assert "ValueError at test_telemetry.py:" in captured.err
    assert "Traceback" not in captured.err


@pytest.mark.parametrize("form", FORMS)
def test_bound_fields_are_classified_too(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(form)
    get_logger().bind(run_id=12, reference=CANARY).warning("a walk was not accepted")
    captured = capsys.readouterr()
    assert CANARY not in captured.err
    assert "12" in captured.err


@pytest.mark.parametrize("form", FORMS)
def test_other_libraries_are_heard_without_their_words(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(form)
    stranger = logging.getLogger("aiohttp.client")
    stranger.warning("GET /Communication?recipient=Patient/%s", CANARY)
    try:
        fail()
    except ValueError:
        stranger.exception("could not parse %r", CANARY)
    captured = capsys.readouterr()
    assert CANARY not in captured.err
    assert "Patient" not in captured.err
    assert captured.err.count("its words withheld") == 2
    assert captured.err.count("aiohttp.client") == 2
    assert "ValueError at test_telemetry.py:" in captured.err


@pytest.mark.parametrize("form", FORMS)
def test_the_chatter_of_libraries_and_debugging_stays_out(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(form)
    logging.getLogger("asyncpg").info(CANARY)
    logging.getLogger("apscheduler").debug(CANARY)
    get_logger().debug("detail")
    assert capsys.readouterr().err == ""


def test_json_is_a_document_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("json")
    get_logger().info("run begun", run_id=1, job="sync", secret=CANARY)
    get_logger().warning("run closed", outcome="complete")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [("run begun", "info"), ("run closed", "warning")]
    assert set(lines[0]) == {"event", "level", "timestamp", "run_id", "job"}
    assert lines[0]["timestamp"].endswith("Z")


def test_nothing_is_configured_twice(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("json")
    configure_logging("console")
    get_logger().info("once")
    logging.getLogger("x").warning("words")
    assert len(capsys.readouterr().err.splitlines()) == 2


@given(st.dictionaries(st.text(max_size=12) | st.sampled_from(sorted(ALLOWED_FIELDS)), st.text(max_size=5)))
def test_the_sieve_keeps_what_is_named_and_nothing_else(event: dict[str, Any]) -> None:
    kept = keep_allowed_fields(None, "info", dict(event))
    assert kept == {key: value for key, value in event.items() if key in ALLOWED_FIELDS}


def test_no_allowed_field_is_one_that_could_hold_words() -> None:
    worded = {"message", "body", "body_text", "text", "url", "path", "id", "patient", "patient_id", "name", "value"}
    assert not ALLOWED_FIELDS & (worded | {"exception", "exc_info", "stack", "args", "reference", "query", "payload"})


def test_where_tells_type_and_lines_only() -> None:
    try:
        fail()
    except ValueError as error:
        told = where(error)
    assert told.startswith("ValueError at test_telemetry.py:")
    assert CANARY not in told
    assert where(KeyError(CANARY)) == "KeyError"
