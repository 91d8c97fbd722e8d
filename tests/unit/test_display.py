"""What a person gets to see: whole, in words, and on the right stream."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from worker.cli import json_output, terminal
from worker.cli.process import show_error
from worker.cli.progress_bar import progress_report
from worker.errors import EXIT_INCOMPLETE, MirrorError
from worker.jobs.backfill import Estimate
from worker.jobs.check import Check
from worker.jobs.run.deletions import Deletions
from worker.jobs.run.mirror import RunResult
from worker.jobs.run.plan import Outcome
from worker.jobs.run.progress import Progress
from worker.jobs.status import refuse_stale, remaining_s
from worker.jobs.verify.compare import Found
from worker.jobs.verify.job import Verification
from worker.load.ledger import RunSums

NOON = datetime(2024, 3, 1, 12, 30, 15, tzinfo=UTC)
WHAT_IS_HERE = "every message that did not change at the source since then is in the mirror"


def result(outcome: Outcome = Outcome.COMPLETE, **changes: Any) -> RunResult:
    sums: dict[str, Any] = {"searches": 4, "accepted": 4, "open": 0, "as_of": NOON, "pages": 9, "entries": 12345}
    sums |= {"new": 10000, "changed": 2000, "quarantined": 3}
    run: dict[str, Any] = {"job": "sync", "scope": "full", "resumed": False, "reasons": {}, "requests": 1234}
    run |= {"gone": 0, "deleted": 0, "deletions": Deletions.NONE_FOUND}
    sums |= {key: value for key, value in changes.items() if key in sums}
    run |= {key: value for key, value in changes.items() if key in run}
    return RunResult(run_id=7, outcome=outcome, sums=RunSums(**sums), **run)


def test_a_complete_run_is_summed_up(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show_run(result())
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.splitlines() == [
        "Run 7 (sync, full): complete",
        "  searches    4 of 4 accepted, 1,234 requests",
        "  messages    12,345 served: 10,000 new, 2,000 changed, 342 unchanged, 0 outside",
        "  quarantine  3 new entries",
        f"  as of       2024-03-01 12:30:15 UTC: {WHAT_IS_HERE}",
    ]


def test_an_incomplete_run_says_why_and_what_to_type_next(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show_run(
        result(Outcome.INCOMPLETE, accepted=1, as_of=None, resumed=True, reasons={"not_json": 2, "total_changed": 1})
    )
    out = capsys.readouterr().out
    assert "Run 7 (sync, full, resumed): incomplete" in out
    assert "not accepted: 2 searches, not_json" in out
    assert "not accepted: 1 searches, total_changed" in out
    assert "as of" not in out
    assert out.splitlines()[-3:] == [
        "Running it again is safe. Nothing in doubt was marked as deleted. See deploy/runbook/incomplete-run.md.",
        "Next (not_json): message-mirror sync in a while. If it stays, ask Canvas, or whoever runs the gateway.",
        "Next (total_changed): message-mirror sync at a quieter hour, or wait for the next night.",
    ]


@pytest.mark.parametrize(
    ("outcome", "scope", "said"),
    [
        (
            Outcome.COMPLETE,
            "full",
            f"15 UTC: {WHAT_IS_HERE}",
        ),
        (
            Outcome.COMPLETE,
            "selected",
            "15 UTC: every message asked for that did not change since then is in the mirror",
        ),
        (Outcome.COMPLETE, "quick", None),
        (Outcome.INCOMPLETE, "full", None),
        (Outcome.INCOMPLETE, "selected", None),
        (Outcome.FAILED, "full", None),
    ],
)
def test_it_is_said_what_is_here_only_where_it_is(
    outcome: Outcome, scope: str, said: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal.show_run(result(outcome, scope=scope))
    out = capsys.readouterr().out
    assert "as of" not in out if said is None else said in out


def test_a_flood_into_quarantine_says_that_another_run_would_not_help(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show_run(result(Outcome.INCOMPLETE, quarantined=3000))
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "Incomplete because 3,000 entries went to quarantine.",
        "Running it again is safe. Nothing in doubt was marked as deleted. See deploy/runbook/incomplete-run.md.",
        "Next: message-mirror status counts them by reason. If known: message-mirror quarantine accept REASON.",
    ]


def test_a_flood_beside_searches_not_accepted_says_both(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show_run(result(Outcome.INCOMPLETE, accepted=3, quarantined=3000, reasons={"not_json": 1}))
    out = capsys.readouterr().out
    assert "3,000 entries went to quarantine" in out
    assert [line.partition(":")[0] for line in out.splitlines()[-2:]] == ["Next (quarantine)", "Next (not_json)"]


def test_where_asking_stopped_is_no_count_of_what_is_gone(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever accepts deletions gets to know how many messages that may mark."""
    reasons = {"too_many_missing": 2949}
    terminal.show_run(result(Outcome.INCOMPLETE, gone=51, reasons=reasons, deletions=Deletions.TOO_MANY))
    out = capsys.readouterr().out
    said = "at least 51 messages the source no longer knows, 2,949 more not asked for, 0 marked as deleted"
    assert f"  gone        {said}\n" in out
    assert "use it only if up to 3,000 messages are meant to be gone." in out
    assert out.splitlines()[-1].endswith(
        "If the messages are meant to be gone: message-mirror sync --accept-deletions."
    )


@pytest.mark.parametrize("deletions", [Deletions.TOO_MANY, Deletions.SOURCE_UNRELIABLE])
def test_deletions_that_are_not_believed_ask_for_the_operators_word(
    deletions: Deletions, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal.show_run(result(Outcome.INCOMPLETE, gone=900, deleted=0, deletions=deletions))
    out = capsys.readouterr().out
    assert "900 messages the source no longer knows, 0 marked as deleted" in out
    assert out.splitlines()[-1].endswith("message-mirror sync --accept-deletions.")


def test_a_message_served_twice_does_not_count_below_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show_run(result(entries=5, new=5, changed=1))
    assert "5 served: 5 new, 1 changed, 0 unchanged, 0 outside" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("reason", "differences", "verdict", "last"),
    [
        (None, {}, "proven", "  moved meanwhile: 3, gone: 2; could not be asked for: 1"),
        (
            None,
            {"missing": 1},
            "differences found",
            "Next: message-mirror sync, then message-mirror verify again; verify --json lists the ids.",
        ),
        (
            "source_unreliable",
            {},
            "not proven (source_unreliable)",
            "Next: look at the source and the client's scopes (message-mirror check), then message-mirror verify.",
        ),
    ],
)
def test_a_verification_says_what_it_found_and_what_to_type_next(
    reason: str | None, differences: dict[str, int], verdict: str, last: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = Found(differences, {kind: ["a", "b"] for kind in differences}, moved=3, gone=2, unknown=1)
    terminal.show_verification(Verification(8, None, 2, reason, 4, 12345, found, agreed=True))
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        f"Verification, run 8: {verdict}",
        "  12,345 entries seen in the searches of 4 patients, 2 passes",
    ]
    assert lines[-1] == last
    assert (
        "  Missing messages may have been written during the verification; then the next sync lands them." in lines
    ) is ("missing" in differences)


def test_where_no_passes_agreed_nothing_is_said_to_have_moved(capsys: pytest.CaptureFixture[str]) -> None:
    verification = Verification(8, None, 4, "passes_differ", 4, 12345, Found(moved=9000), agreed=False)
    terminal.show_verification(verification)
    assert "moved" not in capsys.readouterr().out
    assert json_output.verification_as_json(verification)["moved"] is None


def test_where_asking_stopped_is_no_count_of_differences(capsys: pytest.CaptureFixture[str]) -> None:
    found = Found({"extra": 200}, {"extra": ["a"]}, denied=200)
    terminal.show_verification(Verification(8, None, 2, "too_many", 4, 0, found, agreed=True))
    assert "  extra: at least 200, such as a\n" in capsys.readouterr().out


@pytest.mark.parametrize(("unknown", "said"), [(0, False), (2, True)])
def test_an_estimate_says_that_nothing_was_landed(unknown: int, said: bool, capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show_estimate(Estimate(searches=1200, messages=20000, requests=1500, unknown=unknown))
    out = capsys.readouterr().out
    assert "nothing was landed" in out
    assert "1,200" in out
    assert "20,000" in out
    assert "about 1,500" in out
    assert ("could not be asked" in out) is said


@pytest.mark.parametrize(
    ("check", "line"),
    [
        (Check(True, "the source answers"), "✓ the source answers"),
        (Check(False, "no [roster]", "Ask for a scope."), "✗ no [roster] — Ask for a scope."),
        (Check(None, "log_min_error_statement = error", "Set it."), "! log_min_error_statement = error — Set it."),
    ],
)
def test_a_check_is_a_line(check: Check, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show_check(check)
    assert capsys.readouterr().out == f"{line}\n"


def test_a_long_check_is_not_broken_into_lines(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show_check(Check(False, "word " * 60, "word " * 60))
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_rows_are_a_table_with_readable_values(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {
            "direction": "unknown",
            "message_count": 12345,
            "last_sent_at": NOON,
            "age": timedelta(seconds=61.4),
            "x": None,
        },
        {"direction": "[b]raw[/b]", "message_count": 1, "last_sent_at": None, "age": timedelta(), "x": 1.5},
    ]
    terminal.show_rows("By direction", rows)
    out = capsys.readouterr().out
    for text in ("By direction", "message count", "12,345", "2024-03-01 12:30:15 UTC", "0:01:01", "–", "1.5"):
        assert text in out
    assert "[b]raw[/b]" in out


def test_no_rows_are_said_to_be_none(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show_rows("Quarantine", [])
    assert capsys.readouterr().out == "Quarantine: none\n"


def status(**freshness: Any) -> dict[str, Any]:
    run = {"run_id": 7, "job": "sync", "scope": "full", "outcome": "complete", "started_at": NOON, "seconds": 61.4}
    run |= {
        "searches": 4,
        "searches_accepted": 4,
        "entries": 12345,
        "new": 10000,
        "changed": 2000,
        "unchanged": 340,
        "outside": 5,
        "quarantined": 0,
        "deleted": 3,
        "reason": None,
        "selection": "x",
    }
    return {
        "schema": "canvas",
        "lock": None,
        "under_way": None,
        "freshness": {
            "as_of": NOON,
            "age": timedelta(hours=3),
            "last_complete_run_id": 7,
            "messages": 12345,
            "messages_deleted": 0,
            "quarantined": 3,
        }
        | freshness,
        "runs": [run],
        "not_accepted": [],
        "quarantine": [{"reason": "no_id", "entries": 3}],
        "held_deletions": 0,
        "rows_by_older_rules": 0,
        "sizes": [{"table": "message", "size": "12 MB"}],
    }


def test_the_status_tells_how_fresh_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show_status(status())
    out = capsys.readouterr().out
    assert out.startswith("As of 2024-03-01 12:30:15 UTC (3:00:00 ago), by run 7.\n12,345 messages")
    for text in ("Last runs", "12,345", "no_id", "12 MB"):
        assert text in out
    assert "selection" not in out
    assert "not accepted" not in out


def test_no_column_of_the_last_runs_is_cut_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    found = status()
    found["runs"][0] |= {"run_id": 1234, "job": "backfill", "scope": "selected", "outcome": "interrupted"}
    found["runs"][0] |= {"searches": 1_220, "searches_accepted": 1_218, "seconds": 40_000.0}
    terminal.show_status(found)
    out = capsys.readouterr().out
    assert "…" not in out
    for text in ("backfill", "interrupted", "2024-03-01 12:30", "1,218 of", "1,220", "11:06:40", "10,000"):
        assert text in out


def test_the_status_advises_on_the_newest_run_only(capsys: pytest.CaptureFixture[str]) -> None:
    found = status()
    found["runs"].append(found["runs"][0] | {"run_id": 6, "outcome": "incomplete", "reason": "too_many"})
    terminal.show_status(found)
    out = capsys.readouterr().out
    assert "Run 6 was incomplete: too_many" in out
    assert "Next:" not in out


def test_the_status_tells_why_a_run_was_not_complete(capsys: pytest.CaptureFixture[str]) -> None:
    found = status()
    found["runs"][0] |= {"outcome": "incomplete", "reason": "too_many"}
    terminal.show_status(found)
    out = capsys.readouterr().out
    assert "Run 7 was incomplete: too_many (see deploy/runbook/incomplete-run.md).\nNext: look at the source." in out


def test_the_status_tells_why_searches_were_not_accepted(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show_status(status() | {"not_accepted": [{"run_id": 7, "reason": "not_json", "searches": 2}]})
    out = capsys.readouterr().out
    assert "Searches not accepted" in out
    assert re.search(r"│ +7 │ not_json +│ +2 │", out), out
    assert "Next: message-mirror sync in a while." in out


@pytest.mark.parametrize(
    ("lock", "said"),
    [
        (None, "A run is open, but no process works on it: it was abandoned"),
        (
            {"holder": "message-mirror sync host:7", "since": NOON},
            "held by message-mirror sync host:7 since 2024-03-01",
        ),
    ],
)
def test_an_open_run_is_said_to_be_open_and_whose_it_is(
    lock: dict[str, Any] | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run under way and one that died look the same in the ledger; the lock tells them apart."""
    found = status() | {"lock": lock}
    found["runs"][0]["outcome"] = None
    terminal.show_status(found)
    out = capsys.readouterr().out
    assert re.search(r"\bopen\b.*", out)
    assert said in out


@pytest.mark.parametrize(
    ("expected", "left", "said"),
    [
        (20000, 432.0, "5,120 of about 20,000 messages served, 120 new, 3 changed, 210 requests; about 0:07:12 left."),
        (None, None, "5,120 messages served, 120 new, 3 changed, 210 requests; how long it takes is not known yet."),
    ],
)
def test_the_status_tells_how_far_a_run_is(
    expected: int | None, left: float | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = status() | {"lock": {"holder": "message-mirror sync host:7", "since": NOON}}
    found["under_way"] = found["runs"][0] | {"searches": 122, "searches_done": 35, "entries": 5120, "new": 120}
    found["under_way"] |= {"changed": 3, "requests": 210, "expected_entries": expected, "remaining_seconds": left}
    terminal.show_status(found)
    out = capsys.readouterr().out
    assert f"Run 7 (sync, full) is under way for 0:01:01: 35 of 122 searches, {said}\n" in out


@pytest.mark.parametrize(
    ("elapsed_s", "entries", "last_entries", "last_s", "left_s"),
    [
        (60, 5000, 20000, 100.0, 180.0),  # by its share
        (10, 100, 20000, 100.0, 90.0),  # too small a share to tell
        (10, 0, None, 100.0, 90.0),  # a job that counts no entries
        (60, 20000, 20000, 50.0, 0.0),
        (60, 30000, 20000, 100.0, None),  # more than last time
        (200, 100, 20000, 100.0, None),
        (60, 5000, None, None, None),  # the first of its kind
    ],
)
def test_how_long_a_run_still_takes_is_told_by_the_last_one(
    elapsed_s: float, entries: int, last_entries: int | None, last_s: float | None, left_s: float | None
) -> None:
    assert remaining_s(elapsed_s, entries, last_entries, last_s) == left_s


@pytest.mark.parametrize("age", [None, timedelta(hours=26, seconds=1)])
def test_a_mirror_that_is_too_old_is_refused(age: timedelta | None) -> None:
    with pytest.raises(MirrorError) as refused:
        refuse_stale({"age": age}, timedelta(hours=26))
    assert refused.value.exit_code == EXIT_INCOMPLETE
    assert refused.value.next


def test_a_mirror_that_is_fresh_enough_is_not() -> None:
    refuse_stale({"age": timedelta(hours=26)}, timedelta(hours=26))


def test_the_json_of_a_run_says_why_and_what_next() -> None:
    """Under the names of `status --json`."""
    figures = {"run_id": 7, "outcome": "incomplete", "new": 1, "as_of": NOON, "seconds": 1.5}
    run = result(Outcome.INCOMPLETE, reasons={"not_json": 2}, quarantined=3000)
    told = json.loads(json_output.document(json_output.run_as_json(replace(run, figures=figures))))
    assert told.items() >= {"run_id": 7, "new": 1, "as_of": "2024-03-01T12:30:15+00:00", "seconds": 1.5}.items()
    assert told["reasons"] == {"not_json": 2, "quarantine": None}
    assert any("message-mirror sync" in step for step in told["next"])
    assert json_output.run_as_json(replace(run, figures=figures, held=3))["held"] == 3
    complete = json_output.run_as_json(replace(result(), figures=figures))
    assert (complete["reasons"], complete["next"]) == ({}, [])


def test_the_status_of_an_empty_warehouse(capsys: pytest.CaptureFixture[str]) -> None:
    empty = status(as_of=None, age=None, last_complete_run_id=None, messages=0) | {"runs": [], "quarantine": []}
    terminal.show_status(empty)
    out = capsys.readouterr().out
    assert out.startswith("No full run was complete yet.\n0 messages")
    assert "Last runs: none" in out


def test_an_error_says_what_is_safe_and_what_to_type_next(capsys: pytest.CaptureFixture[str]) -> None:
    show_error(MirrorError("It [broke].", safe="Nothing was lost.", next="message-mirror sync"))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "It [broke].\n  Safe: Nothing was lost.\n  Next: message-mirror sync\n"


def test_an_error_says_no_more_than_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    show_error(MirrorError("It broke."))
    assert capsys.readouterr().err == "It broke.\n"


def test_a_long_error_is_not_broken_into_lines(capsys: pytest.CaptureFixture[str]) -> None:
    show_error(MirrorError("word " * 100))
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_progress_without_a_terminal_is_a_log_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 1000.0
    monkeypatch.setattr("worker.cli.progress_bar.time.monotonic", lambda: now_s)
    with progress_report() as report, capture_logs() as logged:
        for second in range(25):
            now_s = 1000.0 + second
            report(Progress(searches=4, searches_done=second, entries=second * 100, new=second, changed=1, run_id=7))
    assert [(line["event"], line["run_id"], line["searches_done"]) for line in logged] == [
        ("progress", 7, 10),
        ("progress", 7, 20),
    ]


def test_each_run_of_a_command_has_a_bar_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`verify` syncs first: what that has done stays, and does not fall back to nothing for what comes next."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with progress_report() as report:
        report(Progress(searches=4, searches_done=4, entries=500, run_id=1))
        report(Progress(searches=90, searches_done=1, entries=2, run_id=2))
    last = capsys.readouterr().err.rpartition("4 of 4 searches")[2]
    assert "1 of 90 searches" in last


@pytest.mark.parametrize("expected", [0, 1000])
def test_progress_on_a_terminal_is_a_bar(
    expected: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with progress_report() as report, capture_logs() as logged:
        report(Progress(searches=4, searches_done=1, expected=expected, entries=500))
    assert not logged
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "1 of 4 searches, 500 entries" in captured.err
