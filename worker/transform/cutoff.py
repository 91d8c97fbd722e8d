"""The format decision: whether a body is HTML, or plain text that may look like it.

Canvas: messages sent before 10/26/2022 17:00 "PST" are plain text, later ones are saved as HTML. The
sentence names one of two instants (that day was on daylight time), so the hour between them is ambiguous.
What was posted through the API later can be bare text all the same, and `sent` can be missing or backdated.
Reading plain text as HTML loses words (`take 1<x tabs` shows `take 1`); reading HTML as plain text loses
none, so a doubt is decided for plain.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from html.entities import html5
from typing import TYPE_CHECKING

from worker.transform.elements import BARE_ATTRIBUTES, ELEMENTS, OFFICE_PREFIXES

if TYPE_CHECKING:
    from datetime import datetime

_REFERENCE = re.compile(r"&(?:#(?:[0-9]{1,7}|x[0-9a-f]{1,6})|([a-z][a-z0-9]*));", re.IGNORECASE)
# HTML standard §13.1.2: start and end tags, written out to their `>`. No part may hold a `<`, so that each
# attempt ends at the next one: linear in the length of the body. No group is possessive:
# before Python 3.11.5 one that fails has moved on all the same.
_TAG = re.compile(
    r"""
    </?(?P<name>[a-z][a-z0-9:]*)
    (?P<attributes>(?:
        [\s/]++
      | [^\s"'<>/=]++ (?: \s*+ = \s*+ (?: "[^"<]*+" | '[^'<]*+' | [^\s"'<>]++ ) )?
    )*)
    >""",
    re.IGNORECASE | re.VERBOSE,
)
_ATTRIBUTE = re.compile(r"""([^\s"'<>/=]++)(\s*+=\s*+(?:"[^"<]*+"|'[^'<]*+'|[^\s"'<>]++))?""")
_DECLARATION = re.compile(r"<!(?:doctype\b|\[(?:if|endif)\b)[^<>]*>", re.IGNORECASE)


class Format(StrEnum):
    """How a body is to be read. Stored in `canvas.message.body_format`."""

    HTML = "html"
    PLAIN = "plain"


class Basis(StrEnum):
    """The rule that decided, the first that applies. Stored in `canvas.message.body_format_basis`."""

    BEFORE_CUTOFF = "before_cutoff"
    NO_MARKUP = "no_markup"
    CUTOFF_HOUR = "cutoff_hour"
    NO_SENT = "no_sent"
    AFTER_CUTOFF = "after_cutoff"


@dataclass(frozen=True, slots=True)
class Cutoff:
    """Bodies are plain before `instant`, doubtful before `until`, HTML from then on. Both are aware."""

    instant: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """A body's format and the rule that decided."""

    format: Format
    basis: Basis

    @property
    def is_html(self) -> bool:
        """Whether the body is read as HTML."""
        return self.format is Format.HTML


_DECISIONS = {
    basis: Decision(Format.PLAIN if basis in {Basis.BEFORE_CUTOFF, Basis.NO_MARKUP} else Format.HTML, basis)
    for basis in Basis
}


def decide(body: str, sent: datetime | None, cutoff: Cutoff) -> Decision:
    """Decide how to read a body that was sent at `sent` (aware, or None if the resource does not say)."""
    if sent is not None and sent < cutoff.instant:
        return _DECISIONS[Basis.BEFORE_CUTOFF]
    if not has_markup(body):
        return _DECISIONS[Basis.NO_MARKUP]
    if sent is None:
        return _DECISIONS[Basis.NO_SENT]
    if sent < cutoff.until:
        return _DECISIONS[Basis.CUTOFF_HOUR]
    return _DECISIONS[Basis.AFTER_CUTOFF]


def has_markup(body: str) -> bool:
    """Whether a body has a complete tag of a known element, a comment, doctype or character reference."""
    if "<" in body and (_has_tag(body) or _has_comment(body) or _DECLARATION.search(body) is not None):
        return True
    return "&" in body and _has_reference(body)


def _has_reference(body: str) -> bool:
    """Whether there is a reference of HTML standard §13.1.4, its semicolon included (`AT&T;` is none)."""
    return any(found[1] is None or f"{found[1]};" in html5 for found in _REFERENCE.finditer(body))


def _has_tag(body: str) -> bool:
    return any(_is_known(found["name"]) and _are_attributes(found["attributes"]) for found in _TAG.finditer(body))


def _has_comment(body: str) -> bool:
    start = body.find("<!--")
    return start >= 0 and body.find("-->", start + 4) >= 0


def _is_known(name: str) -> bool:
    prefix, colon, _ = name.lower().partition(":")
    return prefix in OFFICE_PREFIXES if colon else prefix in ELEMENTS


def _are_attributes(text: str) -> bool:
    """Whether every attribute has a value or can stand without one, unlike the words of `x <b and y> z`."""
    return all(value or name.lower() in BARE_ATTRIBUTES for name, value in _ATTRIBUTE.findall(text))
