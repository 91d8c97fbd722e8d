"""`inner_text` against the project's corpus, and on whatever else comes."""

from __future__ import annotations

import pytest
from hypothesis import given

from tests.unit.corpus import Case, inner_text_cases
from tests.unit.markup import markup, unhurried
from worker.transform.text.innertext import inner_text

CASES = inner_text_cases()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_corpus_reads_as_the_standard_says(case: Case) -> None:
    assert inner_text(case.html) == case.text


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_block_around_a_body_changes_nothing(case: Case) -> None:
    """Required line breaks at both ends vanish, and an outer block adds no others."""
    assert inner_text(f"<section>{case.html}</section>") == case.text


@unhurried
@given(markup)
def test_every_string_has_a_text(body: str) -> None:
    text = inner_text(body)
    assert "\x00" not in text
    text.encode()  # no lone surrogate


@unhurried
@given(markup)
def test_a_hidden_block_around_anything_safe_shows_nothing(body: str) -> None:
    shown = inner_text(body)
    escaped = shown.replace("&", "&amp;").replace("<", "&lt;")
    assert inner_text(f"<div hidden>{escaped}</div>") == ""
    assert inner_text(f"<div style='visibility:hidden'>{escaped}</div>") == ""


@unhurried
@given(markup)
def test_shown_text_escaped_in_a_pre_wrap_block_reads_as_itself(body: str) -> None:
    shown = inner_text(body).replace("\r", "")
    escaped = shown.replace("&", "&amp;").replace("<", "&lt;")
    assert inner_text(f"<div style='white-space:pre-wrap'>{escaped}</div>") == shown
