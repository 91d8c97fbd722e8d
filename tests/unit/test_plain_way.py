"""The plain way: the text of a body that is too much for the parsers."""

from __future__ import annotations

import pytest
from hypothesis import given

from tests.unit.markup import markup, unhurried
from worker.transform.text.fallback import text_without_structure


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<p>a</p> <p>b &amp; c</p>", "a\nb & c"),
        ("one<br>two<br/>three", "one\ntwo\nthree"),
        ("<b>5</b>mg", "5mg"),
        ("a   b\n c", "a b c"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a\tb\nc"),
        ("<td>5.4<td>12", "5.4\t12"),
        ("<table><tr><td>5.4<td>12<tr><th>a<th>b</table>", "5.4\t12\na\tb"),
        ("<tr><td>a</td> <td></td><td>b</td></tr><tr><td></td><td>c", "a\t\tb\n\tc"),
        ("<table><tr><td>5.4</td>12</table>", "5.4 12"),
        ("<td><p>5.4</p></td><td><p>12</p></td>", "5.4\n12"),
        ("<h1>a</h1>b<ul><li>c<li>d</ul>e", "a\nb\nc\nd\ne"),
        ("a<!-- note -->b", "ab"),
        ("<![if !supportLists]>1.<![endif]>a", "1.a"),
        ("a<script>x<y</script >b<style>p{}</style>c", "abc"),
        ("<title>a</title>b<template>c</template>d<textarea>e</textarea>f<noscript>g</noscript>h", "bdfh"),
        ("a<script>never closed", "anever closed"),
        ("a<!-- never closed", "a<!-- never closed"),
        ("BP < 120 <never closed", "BP < 120 <never closed"),
        ("&lt;b&gt;", "<b>"),
        ("", ""),
    ],
)
def test_every_word_stays_and_none_grow_together(body: str, text: str) -> None:
    assert text_without_structure(body) == text


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<p hidden>a</p>b", "b"),
        ("<P HIDDEN=''>a</P>b", "b"),
        ("<p class=x hidden>a<p>b", "b"),
        ("a<div hidden>b<div>c</div>d</div>e", "ae"),
        ("<div style='color:red; DISPLAY : None'>a</div>b", "b"),
        ("<span style=display:none>a</span>b", "b"),
        ("<div style='display:none'><table><tr><td>a</div>b</table></div>c", "c"),
        ("<table><tr><td hidden>a<td>b<tr hidden><td>c<tr><td>d</table>", "b\nd"),
        ("<ul><li hidden>a<ul><li>b</ul>c<li>d</ul>", "d"),
        ("<dl><dt hidden>a<dd>b</dl>", "b"),
        ("<section><div hidden>a</section>b", "b"),
        ("<div hidden>a<span></div>b", "b"),
        ("<p hidden><b>a<p>b", "b"),
        ("a<br hidden>b<img hidden>c", "abc"),
        ("<div hidden>a", ""),
        ("<p title='hidden'>a</p>", "a"),
        ("<p title=' hidden '>a</p>", "a"),
        ("<p data-hidden>a</p><p hiddenx>b</p>", "a\nb"),
        ("<p style='display:none;display:block'>a</p>", "a"),
        ("<p title='display:none'>a</p>", "a"),
        ("<style>.x{display:none}</style><p class=x>a</p>", "a"),
        ("display:none <b>hidden</b>", "display:none hidden"),
    ],
)
def test_what_its_own_tag_hides_is_left_out(body: str, text: str) -> None:
    assert text_without_structure(body) == text


def test_ten_megabytes_of_text_are_kept() -> None:
    words = "take two tablets " * 600_000
    assert text_without_structure(f"<p>{words}<p>end") == f"{words.strip()}\nend"


@unhurried
@given(markup)
def test_every_string_has_a_text(body: str) -> None:
    text = text_without_structure(body)
    assert "\x00" not in text
    text.encode()
