"""Bodies that are made to hold a parser: they come to an end, and their words are kept."""

from __future__ import annotations

import pytest
from hypothesis import given

from tests.unit.corpus import inner_text_cases
from tests.unit.markup import markup, unhurried
from worker.transform.caps import MAX_CHARACTERS, MAX_DEPTH, MAX_TAGS, within_caps
from worker.transform.fallback import text_without_structure
from worker.transform.innertext import inner_text
from worker.transform.sanitize import safe_html


def test_all_of_the_corpus_is_within_the_caps() -> None:
    assert all(within_caps(case.html) for case in inner_text_cases())


@pytest.mark.parametrize(
    ("body", "within"),
    [
        ("x" * MAX_CHARACTERS, True),
        ("x" * (MAX_CHARACTERS + 1), False),
        ("<p>" * MAX_TAGS, True),
        ("<p>" * (MAX_TAGS + 1), False),
        ("<div>" * MAX_DEPTH, True),
        ("<div>" * (MAX_DEPTH + 1), False),
        ("<div><br></div>" * 800, True),
        ("a=b " * 4_001, False),
        ("<option>" * 2_501, False),
        ("<a " + " ".join(f"x{n}" for n in range(5_000)) + ">x", False),
        ("<a/" + "/".join(f"x{n}" for n in range(5_000)) + ">x", False),
        ("<a t='>'" + " ".join(f"x{n}" for n in range(5_000)) + ">x", False),
        ("<p>" + " ".join(f"x{n}" for n in range(5_000)), True),
        ("<p t='>' " + " ".join(f"x{n}" for n in range(5_000)) + ">x", False),
        ('<p t="<a \'>" ' + " ".join(f"x{n}" for n in range(5_000)) + ">x", False),
        ("<style><a t='</style><p " + " ".join(f"x{n}" for n in range(5_000)) + ">x", False),
        ("<!--><a " + " ".join(f"x{n}" for n in range(5_000)) + ">x", False),
        ("</a " + " ".join(f"x{n}" for n in range(5_000)) + ">x", False),
        (("<a " + " ".join(f"x{n}" for n in range(1_000)) + ">x") * 10, False),
        ("<p class='note'>" + "word " * 20_000 + "</p>", True),
        ("<p>He said 'yes' and \"no\": " + "word " * 20_000 + "</p>", True),
        ("<img src='data:image/png;base64," + "abc/" * 5_000 + "'>x", True),
        ("&" * 16_001, False),
        ("<p style='" + "color:red;" * 10_001 + "'>", False),
        ("<style>" + ".a{}" * 1_001 + "</style><p>" + "x" * 8_000, False),
        ("<style>" + ".a{}" * 900 + "</style>" + "<p>x" * 1_500, False),
        ("<style>" + ".a{}" * 100 + "</style><p>" + "well, yes, " * 2_000, True),
        ("<table><b>" * 1_500, False),
        ("<p>" + "".join(f"<b x{n}>" for n in range(500)) + "<p>x" * 500, False),
        ("<p>" + "".join(f"<b x='<{n}'>" for n in range(500)) + "<p>x" * 500, False),
        ("<p>" + "".join(f"<b x='>{n}'>" for n in range(500)) + "<p>x" * 500, False),
        ("<p><b>dose</b> <i>daily</i></p>" * 400, True),
        ("<!-- <<name>> -->" + "<p>A few words.</p>" * 160, True),
        ("<style><<name>></style>" + "<p>A few words.</p>" * 160, True),
    ],
    ids=range(34),
)
def test_the_caps_tell_a_long_letter_from_a_bomb(body: str, *, within: bool) -> None:
    assert within_caps(body) is within


@pytest.mark.parametrize(
    "body",
    [
        "<div>" * 100_000 + "word",
        "<b>" * 100_000 + "word",
        "<a " + " ".join(f"x{n}=1" for n in range(100_000)) + ">word",
        "<table>" * 100_000 + "word",
        "<!--" * 100_000 + "word",
        "<script>" * 100_000 + "word",
        "&" * 300_000 + "word",
        "&#" + "9" * 300_000 + ";word",
        "<" * 300_000 + "word",
        "\x00" * 300_000 + "word",
        "\ud800" * 300_000 + "word",
        "<p>" * MAX_TAGS + "word",
        "<div>" * MAX_TAGS + "word",
        "<style>" + "x" * 240_000 + "</style>word",
        "<style>" + "{" * 240_000 + "</style>word",
        "<style>" + "*{display:block}" * 15_000 + "</style>word",
        "<p style='display:" + " " * 240_000 + "x'>word",
        "<p style='" + "/*" * 120_000 + "'>word",
        "<p style='color:" + "rgb(" * 60_000 + "'>word",
        "<p>" + " \n" * 120_000 + "word",
    ],
    ids=range(20),
)
def test_a_bomb_keeps_its_word(body: str) -> None:
    """Each ends, without recursion, and the word behind it is still there."""
    assert inner_text(body).endswith("word")
    assert "word" in safe_html(body)


def test_ten_megabytes_of_text_are_kept() -> None:
    words = "take two tablets " * 600_000
    assert inner_text(f"<p>{words}<p>end") == f"{words.strip()}\nend"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<p>a</p> <p>b &amp; c</p>", "a\nb & c"),
        ("one<br>two<br/>three", "one\ntwo\nthree"),
        ("<b>5</b>mg", "5mg"),
        ("a   b\n c", "a b c"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a\tb\nc"),
        ("a<!-- note -->b", "ab"),
        ("a<script>x<y</script >b<style>p{}</style>c", "abc"),
        ("a<script>never closed", "anever closed"),
        ("a<!-- never closed", "a<!-- never closed"),
        ("BP < 120 <never closed", "BP < 120 <never closed"),
        ("<p hidden>a</p>", "a"),
        ("&lt;b&gt;", "<b>"),
        ("", ""),
    ],
)
def test_without_structure_every_word_stays(body: str, text: str) -> None:
    assert text_without_structure(body) == text


@unhurried
@given(markup)
def test_without_structure_every_string_has_a_text(body: str) -> None:
    text = text_without_structure(body)
    assert "\x00" not in text
    text.encode()
