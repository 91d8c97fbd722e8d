"""Reads HTML bodies: the text and the safe HTML of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from worker.transform.safe_html.sanitize import safe_html
from worker.transform.text.fallback import text_without_structure
from worker.transform.text.innertext import inner_text

if TYPE_CHECKING:
    from collections.abc import Sequence


class ReadHtml(NamedTuple):
    """The text of an HTML body, and its safe HTML, or None if the text was read the plain way."""

    text: str
    html: str | None


def read_html(bodies: Sequence[str]) -> dict[str, ReadHtml]:
    """Return text and safe HTML of each body. How long that takes is not bounded (`worker.transform.slow`).

    All texts are read before all HTML, so that the code of one parser stays in the processor's cache.
    """
    texts = [inner_text(body) for body in bodies]
    html = [safe_html(body) for body in bodies]
    return dict(zip(bodies, map(ReadHtml, texts, html), strict=True))


def read_plainly(body: str) -> ReadHtml:
    """Return the text of a body without its structure (`worker.transform.text.fallback`), in linear time."""
    return ReadHtml(text_without_structure(body), None)
