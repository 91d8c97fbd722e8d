"""The proof with a browser in its small form: the same shares, fewer bodies, one seed."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import nh3
import pytest
import pytest_asyncio

from tests.browser import proof, splices
from tests.browser.attacks import stage
from tests.browser.chromium import INSTALL, Chromium, chromium, executable
from tests.browser.judge import shown_texts
from tests.unit.corpus import judged_messages
from worker.transform.text.fallback import text_without_structure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

# One for all runs: a test that fails must fail again. The full form takes a new one each time.
SEED = 20_260_301


def seeded() -> Random:
    return Random(SEED)  # noqa: S311 - test data, to be repeated


pytestmark = [
    pytest.mark.skipif(executable() is None, reason=f"no Chromium here to judge; it comes with: {INSTALL}"),
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Chromium]:
    """Start one browser for the tests of this file."""
    async with chromium() as running:
        yield running


async def test_what_is_recorded_is_what_the_browser_shows(browser: Chromium) -> None:
    """Otherwise: `python -m tests.browser.record`, and read the difference."""
    messages = judged_messages()
    assert await shown_texts(browser, [one.html for one in messages]) == [one.inner_text for one in messages]


async def test_the_corpus_is_read_and_sanitised_as_the_browser_shows_it(browser: Chromium) -> None:
    for share in await proof.corpus_is_read(browser):
        assert share.is_enough, (str(share), share.exceptions)


async def test_random_markup_is_read_as_the_browser_shows_it(browser: Chromium) -> None:
    share = await proof.markup_is_read(browser, seeded(), 500)
    assert share.is_enough, (str(share), share.exceptions)


async def test_new_letters_are_read_and_sanitised_as_the_browser_shows_them(browser: Chromium) -> None:
    for share in await proof.letters_are_read(browser, seeded(), 300):
        assert share.is_enough, (str(share), share.exceptions)


@pytest.mark.parametrize(
    ("place", "mistake"),
    [
        ("inner_text", text_without_structure),
        ("safe_html", lambda body: nh3.clean(body, attributes={})),
    ],
)
async def test_the_browser_finds_text_that_nobody_saw(
    browser: Chromium, monkeypatch: pytest.MonkeyPatch, place: str, mistake: Callable[[str], str]
) -> None:
    """Sabotages: a text that hides nothing, and safe HTML without the styles that hide."""
    monkeypatch.setattr(proof, place, mistake)
    shares = await proof.letters_are_read(browser, seeded(), 100)
    assert not all(share.is_enough for share in shares)


async def test_sanitised_attacks_run_nothing_and_fetch_nothing(browser: Chromium) -> None:
    share = await proof.attacks_do_nothing(browser, alone=False)
    assert share.is_enough, (str(share), share.exceptions)


async def test_the_safe_html_of_spliced_bodies_does_nothing(browser: Chromium) -> None:
    share = await splices.do_nothing(browser, splices.splices(seeded(), 600))
    assert share.is_enough, (str(share), share.exceptions)


async def test_spliced_bodies_that_are_not_sanitised_are_noticed(
    browser: Chromium, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splices, "safe_html", str)
    assert not (await splices.do_nothing(browser, splices.splices(seeded(), 200))).is_enough


@pytest.mark.parametrize(
    ("attack", "runs", "fetches"),
    [
        ("<img src=https://evil.example/x.gif>", False, True),
        ("<img src=x onerror=alert(1)>", True, True),
        ("<p onclick=alert(1)>x</p>", True, False),
        ("<a href=javascript:alert(1)>x</a>", True, False),
        ("<svg onload=alert(1)>", True, False),
        ("<p style='background:url(https://evil.example/x.gif)'>x</p>", False, True),
        ("<meta http-equiv=refresh content='0;url=https://evil.example'>", False, True),
    ],
)
async def test_the_stage_sees_code_run_and_requests_made(
    browser: Chromium, attack: str, *, runs: bool, fetches: bool
) -> None:
    async with stage(browser) as page:
        seen = await page.show(attack, patience_ms=100)
    assert (bool(seen.executions), bool(seen.fetches)) == (runs, fetches)


async def test_the_stage_sees_what_leaves_its_box(browser: Chromium) -> None:
    async with stage(browser) as page:
        fixed = await page.show("<p style='position:fixed;top:0;left:0'>x</p>")
        shifted = await page.show("<p style='margin-left:-99px'>x</p>")
    assert fixed.trespasses == ["position fixed", "outside its box"] * 2
    assert "outside its box" in shifted.trespasses
