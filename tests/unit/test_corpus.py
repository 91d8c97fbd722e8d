"""The written messages, held against what Chromium was recorded to show of them."""

from __future__ import annotations

import pytest

from tests.unit.corpus import Judged, inner_text_cases, judged_messages, written_messages
from worker.transform.safe_html.sanitize import safe_html
from worker.transform.text.innertext import inner_text

MESSAGES = judged_messages()


def test_every_written_message_is_recorded_as_it_is_written() -> None:
    """Otherwise: `python -m tests.browser.record`."""
    assert [(one.id, one.html) for one in MESSAGES] == [(one.id, one.html) for one in written_messages()]


def test_messages_and_cases_have_names_of_their_own() -> None:
    assert len({one.id for one in MESSAGES}) == len(MESSAGES) >= 300
    assert len({case.name for case in inner_text_cases()}) == len(inner_text_cases())


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.id)
def test_a_message_reads_as_the_browser_shows_it(message: Judged) -> None:
    assert inner_text(message.html) == message.inner_text


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.id)
def test_its_safe_html_reads_the_same_also_when_sanitised_twice(message: Judged) -> None:
    once = safe_html(message.html)
    assert inner_text(once) == message.inner_text
    assert inner_text(safe_html(once)) == message.inner_text
