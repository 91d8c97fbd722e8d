"""Which bodies are read in process, and what is cut from those that are not."""

from __future__ import annotations

import pytest

from tests.unit.corpus import inner_text_cases
from worker.transform.bodies import read_html
from worker.transform.safe_html.sanitize import safe_html
from worker.transform.slow import SMALL_CHARACTERS, SMALL_TAGS, SMALL_WITH_SHEET_CHARACTERS, may_be_slow, without_data
from worker.transform.text.innertext import inner_text

PICTURE = f"data:image/png;base64,{'iVBORw0KGgo+/' * 100}=="


def test_all_of_the_corpus_is_small() -> None:
    assert not any(may_be_slow(case.html) for case in inner_text_cases())


@pytest.mark.parametrize(
    ("body", "slow"),
    [
        ("x" * SMALL_CHARACTERS, False),
        ("x" * (SMALL_CHARACTERS + 1), True),
        ("<p>" * SMALL_TAGS, False),
        ("<p>" * (SMALL_TAGS + 1), True),
        ("<STYLE>" + "x" * SMALL_WITH_SHEET_CHARACTERS, True),
        ("<style>" + "x" * (SMALL_WITH_SHEET_CHARACTERS - 7), False),
        ("<style>" + "* " * 240 + "*{float:left}</style>" + "<b>" * 98 + "x", True),
        ("<style>.x{display:none}</style>" + "<p class=x>Hello</p>" * 10, False),
    ],
)
def test_a_body_is_small_by_its_characters_and_its_tags(body: str, *, slow: bool) -> None:
    assert may_be_slow(body) is slow


@pytest.mark.parametrize(
    "body",
    [
        f'<p>a</p><img src="{PICTURE}" alt=b>c',
        f"<img src={PICTURE}>a<IMG SRC='{PICTURE.replace('data', 'DATA')}'>b",
        f"<p style='background:url({PICTURE});color:red'>a</p>",
        f'<a href="{PICTURE}">a</a>',
        f'<!--[if gte vml 1]><v:imagedata src="{PICTURE}"/><![endif]-->a',
        f'<style>p{{background:url("{PICTURE}");display:none}}</style><p>a</p>b',
        f'<textarea><img src="{PICTURE}"></textarea>a',
        f'<p title="><img src=" {PICTURE}"> a',
    ],
)
def test_data_is_cut_that_nobody_sees(body: str) -> None:
    cut, mark = without_data(body)
    assert len(cut) < 500
    text, html = inner_text(cut), safe_html(cut)
    assert mark not in text
    assert mark not in html
    assert read_html([body])[body] == (text, html)
    assert "base64" not in html, "no picture of them survives"


@pytest.mark.parametrize(
    "body",
    [f"<p>{PICTURE}</p>", f"<img title='{PICTURE}'>", f"<xmp><img src='{PICTURE}'></xmp>", f"<p title='\">{PICTURE}'>"],
)
def test_the_mark_shows_where_data_is_among_the_words(body: str) -> None:
    cut, mark = without_data(body)
    assert mark in inner_text(cut) + safe_html(cut)
