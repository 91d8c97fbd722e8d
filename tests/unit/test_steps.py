"""A body that is read step by step, without the parser: what is asked of it, what is kept, and what is left to it."""

from __future__ import annotations

from random import Random

import pytest

from tests.bench.bodies import note
from worker.transform.marks import Marks
from worker.transform.references import decoded
from worker.transform.runs import END, START, Runs
from worker.transform.steps import Known, stepped, written_where_open


def written(body: str, known: Known | None = None) -> str | None:
    """Return a body as its steps write it, or None if it is left to the parser."""
    read = stepped(body, known or Known(Runs(Marks())))
    if read is None:
        return None
    texts_and_runs = [f"<{part}" if at % 2 else part for at, part in enumerate(read[0])]
    return "".join(texts_and_runs).removeprefix(START).removesuffix(END)


@pytest.mark.parametrize(
    ("body", "canonical"),
    [
        ("", ""),
        ("a<br>b", "a<br>b"),
        ("<p>a<p>b", "<p>a</p><p>b</p>"),
        ("<UL CLASS=x>\n<LI>a<LI>b</UL>", '<ul class="x">\n<li>a</li><li>b</li></ul>'),
        ("<table><tr><td>a<td>b</table>c", "<table><tbody><tr><td>a</td><td>b</td></tr></tbody></table>c"),
        ("a</p>b", "a<p></p>b"),
        ("<p>a<table><tr><td>b</table>", "<p>a</p><table><tbody><tr><td>b</td></tr></tbody></table>"),
        ("<a href='x y' title=z>a</a>", "<a>a</a>"),
        ("<pre>\na</pre>", "<pre>a</pre>"),
        ("<html><head><title>a</title></head><body bgcolor=x>b</body></html>", "<title>a</title>b"),
        (
            "<!--[if gte mso 9]><xml><o:x></o:x></xml><![endif]--><p>a<![if !vml]>b<![endif]><o:p></o:p>",
            "<p>a<&i>b<o:p></o:p></p>",
        ),
        ("<pre>\n\na</pre>", "<pre>\na</pre>"),
        ("a\r\nb<br>\rc", "a\nb<br>\nc"),
        ("a &amp; b&nbsp;<b>AT&T; c</b> & d", None),
        ("a < b<br>", "a &lt; b<br>"),
        ("a > b<br>c <6", "a &gt; b<br>c &lt;6"),
        ("a &am<b>p; c</b>, R&D, &c", "a &amp;am<b>p; c</b>, R&amp;D, &amp;c"),
        ("a<!-- b -->c<!-- d - e --> <p>e", "a<&i>c<&i> <p>e</p>"),
        ("<!DOCTYPE html><p>a<?xml:namespace prefix = o ns = 'x' />b", "<p>a<&i>b</p>"),
        ("a&#150;b", "a&#150;b"),
        ("<style></style><p>a<style></style>b", "<p>a<&i>b</p>"),
        ("<w:sdt style='display:none'>a</w:sdt>", '<w:sdt style="display:none">a</w:sdt>'),
        ("<svg width=9><title>a</title><path d='M0 0'/></svg>b", '<svg width="9"><title>a</title><path></path></svg>b'),
        (
            "<select><option selected>a<option>b</select>c",
            '<select><option selected="">a</option><option>b</option></select>c',
        ),
        ("a &amp; b&nbsp;<b>c</b> & d, R& D", "a &amp; b&nbsp;<b>c</b> &amp; d, R&amp; D"),
    ],
)
def test_a_body_is_written_as_the_parser_writes_it(body: str, canonical: str | None) -> None:
    assert written(body) == canonical


@pytest.mark.parametrize(
    ("body", "canonical"),
    [
        ("<b>a<p>b</b>c</p>", "a<p>b<&i>c</p>"),
        ("<p><B>a</B>\n<i>b<p>c", "<p>a<&i>\nb</p><p>c</p>"),
        ("<p hidden><i>a<p>b</i>", '<p hidden="">a</p><p>b</p>'),
        ("<i>a</i>b<q>c</q>", "a<&i>b<q>c</q>"),
        ("<p><b>a<h1>b</h1></b>", "<p>a</p><h1>b</h1>"),
        ("<b hidden>a</b>", None),
        ("<b>a<q>b</b>c</q>", None),
        ("<q>a<i>b</i></q>", None),
        ("<b>a<ruby>b</b><rt>c</rt></ruby>", None),
        ("<i>a<w:sdt style='display:none'>b</i>c</w:sdt>", None),
        ("<svg><g>a<b>c</b></g></svg>", None),
        ("<b><g hidden>a</b> b", None),
        ("<b><text hidden>a</b> b", None),
        ("<b>a<path hidden></b> b", None),
        ("<i>a<span hidden>b</i>c</span>", None),
        ("<b>a<details><summary>b</summary></b></details>", None),
        ("<b>a<div style='display:flex'>b</b></div>", None),
        ("<h1><b>a<h2>b</h2></b></h1>", None),
    ],
)
def test_formatting_is_left_out_where_it_shows_nothing(body: str, canonical: str | None) -> None:
    assert written(body, Known(Runs(Marks()), leaves_out_formatting=True)) == canonical


@pytest.mark.parametrize(
    "body",
    [
        "<b>a<p>b</b>c</p>",
        "<p><b>a<p>b",
        "<div><i>a</div>b",
        "<a>b<a>c</a>",
        "a</b>c",
        "<table>a<tr><td>b</table>",
        "<table><tr>a</table>",
        "<form>a</form>",
        "<!-- a > b --><p>c</p>",
        "<!--[if mso]>a<![endif]-->b",
        "<!--[if ann]><![endif]--><p>b</p>",
        "<title>a<b>c</b></title>d",
        "a&#32;b",
        "a&#x20;b",
        "a&Tab;b",
        "a&nbsp",
        "<table><tr><td><select><option>a</select></table>",
        "<b title='>'>a</b>",
        "<style media=print>p{}</style>a",
        "<textarea><style></style></textarea>",
        "<svg><style></style></svg>",
        "<select><style></style></select>",
        "<select><option>a<style></style></select>",
        "<noscript><p>a</noscript>b",
        "a &lt<b>; c</b>",
        "a&#129;b",
        "<p ann>a",
        "<p class=\ue000>a\ue000",
    ],
)
def test_what_open_elements_do_not_say_is_left_to_the_parser(body: str) -> None:
    assert written(body) is None


@pytest.mark.parametrize(
    ("run", "names", "expected"),
    [
        ("/p>\n<p>", ("div", "p"), ("/p>\n<p>", ("div", "p"))),
        ("li>", ("ul", "li"), ("/li><li>", ("ul", "li"))),
        ("/b>", ("p", "b"), ("/b>", ("p",))),
        ("p>", ("p", "b"), None),
        ("/div> ", ("p",), ("&i> ", ("p",))),
        ("/td></tr>", ("table", "tbody", "tr", "td"), None),
    ],
)
def test_what_a_run_comes_to(run: str, names: tuple[str, ...], expected: tuple[str, tuple[str, ...]] | None) -> None:
    assert written_where_open(run, names) == expected


def test_no_words_are_kept_and_a_bounded_number_of_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Known(Runs(Marks()))
    for body in (
        '<a href="https://x.example/ann">b</a>',
        "<a href=https://x.example/ann>b</a>",
        "<A TITLE='Ann'>b</A>",
        "<p ann>b",
        "b<ann>c",
        "take <ann@x.example> b<br>",
        "<!--[if ann]><![endif]-->b",
    ):
        stepped(body, known)
    assert known.places
    assert not any("ann" in run.lower() for there in known.places.values() for run in [*there.steps, *there.refused])
    monkeypatch.setattr(Known, "MAX_KEPT", 30)
    known = Known(Runs(Marks()))
    for number in range(40):
        stepped(f"<font size={number}>b</font>", known)
    assert sum(len(there.steps) + len(there.refused) for there in known.places.values()) <= 30


def test_a_body_asks_about_a_few_runs_only() -> None:
    known = Known(Runs(Marks()))
    many = "".join(f"<font size={number}>b</font>" for number in range(100))
    assert stepped(many, known) is None
    assert sum(len(there.steps) + len(there.refused) for there in known.places.values()) == Known.MAX_ASKED


def test_notes_need_no_parser() -> None:
    """Without steps they would be read all the same, only slower."""
    random = Random(1)  # noqa: S311  seeded, to be the same again
    known = Known(Runs(Marks()))
    bodies = [note(random) for _ in range(500)]
    read = [stepped(body, known) for body in [*bodies, *bodies]][len(bodies) :]
    assert None not in read


def test_texts_keep_their_references() -> None:
    read = stepped("<p>a &lt;b&gt; &frac12;&#8217;&#x2014;</p>", Known(Runs(Marks())))
    assert read is not None
    assert decoded("".join(read[1])) == "a <b> ½’—"
