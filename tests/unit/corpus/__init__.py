"""The project's own made-up message bodies."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """A body, the text that a browser shows of it, and the rule it comes from."""

    name: str
    rule: str
    html: str
    text: str


def inner_text_cases() -> list[Case]:
    """Read the cases of `innertext.toml`."""
    with (Path(__file__).parent / "innertext.toml").open("rb") as file:
        return [Case(**case) for case in tomllib.load(file)["case"]]
