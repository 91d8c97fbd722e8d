"""What people of the made-up clinic write and are called: `scripts.toml`, which explains its own form."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal, NamedTuple

Side = Literal["patient", "practitioner"]
Text = tuple[str, ...]  # paragraphs


class Step(NamedTuple):
    """One message of a script: who writes it, and the texts it may have."""

    by: Side
    texts: tuple[Text, ...]


# How a kind of conversation goes, step by step; a thread stops after any of them.
Script = tuple[Step, ...]


def _text(written: str) -> Text:
    """Return the paragraphs of a text as it is written down."""
    paragraphs = written.strip().split("\n\n")
    return tuple(paragraph.replace("\n", " ").replace("¶", "\n") for paragraph in paragraphs)


_WRITTEN = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_BY_NAME: dict[str, Script] = {
    name: tuple(Step(step["by"], tuple(map(_text, step["texts"]))) for step in steps)
    for name, steps in _WRITTEN["scripts"].items()
}
SCRIPTS = tuple(_BY_NAME.values())
LETTER = _BY_NAME["letter"]
ENDINGS: dict[Side, tuple[Text, ...]] = {
    "patient": ((), *map(_text, _WRITTEN["endings"]["patient"])),
    "practitioner": ((), *map(_text, _WRITTEN["endings"]["practitioner"])),
}
"""What comes after the text proper; an empty one: nothing."""
BARE: tuple[str, ...] = tuple(_WRITTEN["bare"])
SLOTS: dict[str, tuple[str, ...]] = {slot: tuple(words) for slot, words in _WRITTEN["slots"].items()}
NAMES: dict[str, tuple[str, ...]] = {kind: tuple(names) for kind, names in _WRITTEN["names"].items()}
