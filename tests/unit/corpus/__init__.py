"""The project's own made-up message bodies.

`innertext.toml` goes rule by rule and gives the text with each. `messages/*.html` are whole messages, a file
for each shape; what Chromium shows of them is recorded in `messages.jsonl` by `python -m tests.browser.record`.
"""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).parent
RECORDED = _HERE / "messages.jsonl"
_HEAD = re.compile(r"^=== (.+)\n", re.MULTILINE)


@dataclass(frozen=True)
class Case:
    """A body, the text that a browser shows of it, and the rule it comes from."""

    name: str
    rule: str
    html: str
    text: str


@dataclass(frozen=True)
class Body:
    """A made-up message body, named by its shape and what is special about it."""

    id: str
    shape: str
    html: str


@dataclass(frozen=True)
class Judged(Body):
    """A body with the text that a browser shows of it."""

    inner_text: str


def inner_text_cases() -> list[Case]:
    """Read the cases of `innertext.toml`."""
    with (_HERE / "innertext.toml").open("rb") as file:
        return [Case(**case) for case in tomllib.load(file)["case"]]


def written_messages() -> list[Body]:
    """Read `messages/*.html`: each message stands under a line `=== what is special about it`."""
    bodies = []
    for file in sorted((_HERE / "messages").glob("*.html")):
        _, *parts = _HEAD.split(file.read_text(encoding="utf-8"))
        for name, html in zip(parts[::2], parts[1::2], strict=True):
            bodies.append(Body(f"{file.stem}: {name}", file.stem, html.removesuffix("\n")))
    return bodies


def judged_messages(file: Path = RECORDED) -> list[Judged]:
    """Read bodies with their texts from a file with one JSON object a line."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return [Judged(**json.loads(line)) for line in lines]
