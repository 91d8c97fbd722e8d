"""The format decision: both sides of the cutoff, each basis, each fallback, and what is no markup."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.markup import markup, unhurried
from worker.transform.cutoff import Basis, Cutoff, Decision, Format, decide, has_markup

INSTANT = datetime(2022, 10, 27, 0, 0, tzinfo=UTC)
UNTIL = datetime(2022, 10, 27, 1, 0, tzinfo=UTC)
CUTOFF = Cutoff(INSTANT, UNTIL)
MICROSECOND = timedelta(microseconds=1)
HTML, PLAIN = "<p>Hello</p>", "BP <120/80"


@pytest.mark.parametrize(
    ("body", "sent", "format_", "basis"),
    [
        (HTML, datetime(2021, 3, 21, 10, 46, 17, tzinfo=UTC), "plain", "before_cutoff"),
        (HTML, INSTANT - MICROSECOND, "plain", "before_cutoff"),
        (PLAIN, INSTANT - MICROSECOND, "plain", "before_cutoff"),
        ("", INSTANT - MICROSECOND, "plain", "before_cutoff"),
        (HTML, INSTANT, "html", "cutoff_hour"),
        (HTML, INSTANT + MICROSECOND, "html", "cutoff_hour"),
        (HTML, UNTIL - MICROSECOND, "html", "cutoff_hour"),
        (PLAIN, INSTANT, "plain", "no_markup"),
        (PLAIN, UNTIL - MICROSECOND, "plain", "no_markup"),
        (HTML, UNTIL, "html", "after_cutoff"),
        (HTML, UNTIL + MICROSECOND, "html", "after_cutoff"),
        (PLAIN, UNTIL, "plain", "no_markup"),
        (HTML, None, "html", "no_sent"),
        (PLAIN, None, "plain", "no_markup"),
        ("", None, "plain", "no_markup"),
        ("", UNTIL, "plain", "no_markup"),
        # The same instant, written in the clinic's zone
        (HTML, datetime(2022, 10, 26, 17, 0, tzinfo=timezone(timedelta(hours=-7))), "html", "cutoff_hour"),
        (HTML, datetime(2022, 10, 26, 16, 59, 59, 999999, timezone(timedelta(hours=-7))), "plain", "before_cutoff"),
    ],
)
def test_the_first_rule_that_applies_decides(body: str, sent: datetime | None, format_: str, basis: str) -> None:
    assert decide(body, sent, CUTOFF) == Decision(Format(format_), Basis(basis))


def test_a_cutoff_without_a_doubtful_hour_has_no_cutoff_hour() -> None:
    exact = Cutoff(UNTIL, UNTIL)
    assert decide(HTML, UNTIL - MICROSECOND, exact).basis == Basis.BEFORE_CUTOFF
    assert decide(HTML, UNTIL, exact).basis == Basis.AFTER_CUTOFF


@pytest.mark.parametrize(
    "body",
    [
        "",
        "plain words",
        "I took <2 pills & felt ok",
        "BP <120/80",
        "take 1<x tabs",
        "a < b and b > c",
        "<3 you all",
        "x <b and y",  # a known name, but no tag without its end
        "x <b and y> z",  # words are not attributes
        "if a<b then <i see it>",
        "<john@example.com>",
        "<https://portal.example.org/a>",
        "From: Ann <ann@example.com>, Bob <bob@example.com>",
        "<name> <insert dose here>",
        "<-- see above -->",
        "<!-- never closed",
        "AT&T; R&D; Q&A;",
        "salt & pepper; a&b",
        "?a=1&copy=2&lt=3",  # references want their semicolon
        "&#;  &#x;  &#12 &nosuch;",
        "</>",
        "<>",
        "<p",
        '<a href="x',
        "<bold>",
        "<p:x>",
    ],
)
def test_what_people_type_is_no_markup(body: str) -> None:
    assert not has_markup(body)
    assert decide(body, None, CUTOFF) == Decision(Format.PLAIN, Basis.NO_MARKUP)


@pytest.mark.parametrize(
    "body",
    [
        "<p>",
        "</p>",
        "<P ALIGN=CENTER>",
        "<br/>",
        "<br />",
        "<p hidden>",
        "<td nowrap>",
        "<p class='x'\n id=\"y\">",
        "<p class='x'id=y>",
        "<a href=http://x.example/?a=b>",
        '<a href="/x?a=1&b=2" title="a > b">',
        "<o:p>",
        "<st1:place w:st=on>",
        "<font face=Arial>",
        "BP <b>120</b>",
        "<3 <br>",
        "a<!-- note -->b",
        "<!DOCTYPE html>",
        "<![if !mso]>",
        "&nbsp;",
        "&amp;",
        "fish &amp; chips",
        "&#181;",
        "&#xB5;",
        "&AMP;",
        "&CounterClockwiseContourIntegral;",
    ],
)
def test_known_tags_and_references_are_markup(body: str) -> None:
    assert has_markup(body)
    assert decide(body, UNTIL, CUTOFF) == Decision(Format.HTML, Basis.AFTER_CUTOFF)


@unhurried
@given(markup, st.none() | st.datetimes(timezones=st.just(UTC)))
def test_every_body_at_every_time_is_decided(body: str, sent: datetime | None) -> None:
    decision = decide(body, sent, CUTOFF)
    assert (decision.format is Format.HTML) == (decision.basis not in {Basis.BEFORE_CUTOFF, Basis.NO_MARKUP})
    assert (decision.basis is Basis.BEFORE_CUTOFF) == (sent is not None and sent < INSTANT)


@pytest.mark.parametrize("unit", ["<a x=' ", "<a ", "<!--", "<a = ", '<a x="', "&#", "&a", "<b x=y ", "< ", "<p a/"])
def test_a_body_of_a_million_half_tags_is_decided(unit: str) -> None:
    """A search that went back over what it read would not come to an end."""
    assert not has_markup(unit * (1_000_000 // len(unit)))
