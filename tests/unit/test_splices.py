"""Bodies spliced at random, in the small form and without a browser: nothing raises, and both parsers agree."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.browser import splices

if TYPE_CHECKING:
    from collections.abc import Callable


def some(count: int) -> list[str]:
    return splices.splices(Random(20_260_301), count)  # noqa: S311  seeded, to be the same again


def test_spliced_bodies_are_read_alike_in_both_ways_and_sanitised_for_good() -> None:
    share = splices.are_read(some(600))
    assert share.is_enough, (str(share), share.exceptions)


@pytest.mark.parametrize(
    ("place", "mistake"),
    [
        ("inner_text", lambda body: body[:10]),
        ("walked_text", lambda body: body[10_000]),
        ("safe_html", lambda body: f"{body}<br>"),
    ],
)
def test_a_mistake_shows(monkeypatch: pytest.MonkeyPatch, place: str, mistake: Callable[[str], str]) -> None:
    """Sabotages: a way to the text that differs, one that raises, and safe HTML that grows each time."""
    monkeypatch.setattr(splices, place, mistake)
    assert not splices.are_read(some(50)).is_enough
