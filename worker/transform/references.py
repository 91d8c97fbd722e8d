"""The references that serialised HTML has in its texts: HTML standard §13.3, "escaping a string"."""

from __future__ import annotations

from turbohtml import unescape

decoded = unescape
"""Write out the references of a text."""


def encoded(text: str) -> str:
    """Write a text as serialised HTML has it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def in_upper_case(text: str) -> str:
    """Write a serialised text in capitals."""
    return encoded(decoded(text).upper())
