"""Bodies that are HTML, read: the text and the safe HTML of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from worker.transform.safe_html.sanitize import safe_html
from worker.transform.text.fallback import text_without_structure
from worker.transform.text.innertext import inner_text

if TYPE_CHECKING:
    from collections.abc import Sequence


class ReadHtml(NamedTuple):
    """What is read of a body that is HTML: its text, and its safe HTML, or None if it took the plain way."""

    text: str
    html: str | None


def read_html(bodies: Sequence[str]) -> dict[str, ReadHtml]:
    """Return what is read of each body. How long that takes is not bounded (`worker.transform.slow`).

    First the texts of all, then the HTML of all: one by one the processor would have to fetch the code of one parser
    after the other again, which takes longer.
    """
    texts = [inner_text(body) for body in bodies]
    html = [safe_html(body) for body in bodies]
    return dict(zip(bodies, map(ReadHtml, texts, html), strict=True))


def read_plainly(body: str) -> ReadHtml:
    """Return the text of a body without its structure (`worker.transform.text.fallback`), in linear time."""
    return ReadHtml(text_without_structure(body), None)
