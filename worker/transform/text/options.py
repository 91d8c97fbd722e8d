"""What a list of options shows: HTML standard §3.2.7 step 3, §4.10.10 "The option element"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from turbohtml import Element, Text

from worker.transform.text.whitespace import collapse

if TYPE_CHECKING:
    from collections.abc import Iterator


def options_of(select: Element) -> Iterator[str | int]:
    """Step 3: a select shows its options and those of its groups, each on a line of its own."""
    for child in _elements(select):
        if child.tag not in {"option", "optgroup"}:
            continue
        yield 1
        for option in _elements(child) if child.tag == "optgroup" else (child,):
            if option.tag == "option":
                yield from (1, option_text(option), 1)
        yield 1


def _elements(parent: Element) -> Iterator[Element]:
    return (child for child in parent if isinstance(child, Element))


def option_text(option: Element) -> str:
    """Return the text of an option, without that of scripts (HTML standard §4.10.10)."""
    texts: list[str] = []
    waiting = [iter(option)]
    while waiting:
        node = next(waiting[-1], None)
        if node is None:
            waiting.pop()
        elif isinstance(node, Text):
            texts.append(node.data)
        elif isinstance(node, Element) and node.tag != "script":
            waiting.append(iter(node))
    return collapse("".join(texts)).strip(" ")
