"""The next thing to type follows the reason: every reason has its row, and the runbook explains the same words."""

from __future__ import annotations

import re

import pytest

from tests.unit.test_deploy import RUNBOOK, reasons_in_the_code
from worker.advice import TABLE, advise, again_of, next_steps

AGAIN = "message-mirror sync"
WORDS = [word for words, _ in TABLE for word in words.split()]
FAMILIES = {word for word in WORDS if re.search(r"_\dxx$", word)}
NUMBERED = {word for word in WORDS if re.search(r"_\d{3}$", word)}
# What another run does not mend by itself: its advice says what does, before it says to run again.
MENDED_BY_A_PERSON = (
    *("http_401", "http_403", "foreign_next", "bad_link", "no_total", "filter_ignored", "next_loops", "http_404"),
    *("quarantine", "too_many", "source_unreliable", "certificate", "unknown_host"),
)


def test_every_reason_has_one_row_and_the_runbook_explains_it() -> None:
    assert len(WORDS) == len(set(WORDS))
    assert set(WORDS) - FAMILIES - NUMBERED == {word for word in reasons_in_the_code() if not re.search(r"\d", word)}
    (table,) = re.findall(r"^\| reason \|.*?\n\n", RUNBOOK, re.MULTILINE | re.DOTALL)
    for word in NUMBERED:
        assert re.search(rf"`{word}`|`http_` and [^|]*\b{word[-3:]}\b", table), word


@pytest.mark.parametrize("reason", [*sorted(reasons_in_the_code()), *(f"http_{n}" for n in (400, 404, 418, 500, 599))])
def test_the_advice_on_every_reason_is_a_command_or_a_person_to_ask(reason: str) -> None:
    ((sentence, of),) = advise([reason], AGAIN).items()
    assert of == reason
    assert re.search(r"message-mirror |ask ", sentence)
    assert "{" not in sentence
    assert sentence.endswith(".")


@pytest.mark.parametrize("reason", MENDED_BY_A_PERSON)
def test_what_another_run_does_not_mend_is_not_answered_by_another_run(reason: str) -> None:
    (sentence,) = advise([reason], AGAIN)
    assert not sentence.startswith(AGAIN)


def test_many_reasons_are_told_by_what_mends_them_the_gravest_first() -> None:
    lines = next_steps(["total_changed", "http_503", "timeout", "http_403", "pages_changed"], AGAIN)
    assert [line.partition(")")[0] for line in lines] == [
        "Next (http_403",
        "Next (http_503, timeout",
        "Next (total_changed, pages_changed",
    ]


def test_without_a_reason_and_for_a_word_of_another_version_the_same_is_asked_for_again() -> None:
    assert next_steps([], AGAIN) == ["Next: message-mirror sync."]
    assert next_steps(["of_another_version"], AGAIN) == ["Next: message-mirror sync."]


def test_the_commands_are_those_of_the_job() -> None:
    (line,) = next_steps(["too_many"], again_of("backfill"), believe="message-mirror demo")
    assert line.endswith("message-mirror demo.")
    assert again_of("backfill") == "message-mirror backfill with the same options"
    assert again_of("verify") == "message-mirror verify"
