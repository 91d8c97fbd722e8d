"""The short cuts to a body's text give what lexbor and the walk give, and a mistake in them would be seen."""

from __future__ import annotations

from itertools import cycle
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.browser.generator import random_markup
from tests.browser.letters import letter
from tests.unit.corpus import Case, inner_text_cases
from tests.unit.markup import PIECES, markup, unhurried, walked_text
from worker.transform.elements import ELEMENTS
from worker.transform.text import boxes, innertext, stylesheet, tree
from worker.transform.text.fast import marks, short_cut, styled
from worker.transform.text.fast.short_cut import fast_text
from worker.transform.text.innertext import inner_text
from worker.transform.text.parse import parse_to_write, well_formed
from worker.transform.text.user_agent_css import KEYWORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# What letters are made of, so that the fast way is taken.
COMMON = [
    "<p>", "</p>", "<div>", "</div>", "<br>", "<b>", "</b>", "<span style='color:red'>", "</span>", "<h1>", "</h1>",
    "<ul>", "<li>", "</ul>", "<table>", "<tbody>", "<tr>", "<td>", "<th>", "</td>", "</tr>", "</table>", "<hr>",
    "<img>",
    "<tfoot>", "<input>", "<input type=hidden>", "<a href='https://x.example/?a=1&b=2'>", "</a>", "<p hidden>", "<pre>",
    "</pre>", "<div style='white-space:pre-wrap'>", "<span style='white-space:pre'>", "<span style='display:none'>",
    "<script>a<b</script>", "<style>p{margin:0}</style>", "<style>p{display:none}</style>",
    "<style>b{display:block} .x{display:none} h1{position:static}</style>", "<b class=x>",
    "<style media=print>li{display:none}</style>", "<!-- a > b -->",
    "<p style='white-space:normal'>", "&nbsp;", "&amp;", "&lt;", "&gt;", "&amp;lt;", "&am", "p;", "&n;", " ", "  ",
    "\n", "\t", "\r\n", "&#13;", "a", "10 mg", "é", "漢", "<colgroup><col>", "<a style='display:inline-block'>",
    "<b style='display:block'>", "<li style='display:inline'>",
    "<p style='display:inline'>", "<p style='display:list-item'>", "<div style='display:inline'>",
    "<h1 style='text-transform:uppercase'>",
    "<blockquote>", "</blockquote>",
    "<p align=left>",
]  # fmt: skip
# What fewer letters have, and what in the wrong place is for the walk.
RARER = [
    "<caption>", "</caption>", "<div style='visibility:hidden'>", "<b style='visibility:visible'>", "<title> c</title>",
    "<p style='white-space:pre-line'>", "<details><summary>", "</summary> b </details>",
    "<select><option>", "<option selected>c", "<optgroup label=x>", "</select>", "<div style='display:flex'>", "</div>",
    "<p style='display:grid'>", "<span>", "<i style='visibility:hidden'>", "</i>",
]  # fmt: skip
# As people and programs write it, who are no serialiser, mistakes included.
AS_SENT = [
    "<P>", "</P >", "<B>", "</b\n>", "<p STYLE='display:none'>", "<p STYLE=\"display:none\" TITLE='a b=\"c\" d'>",
    "<a HREF=x>", "<a href='y z'>", "</a>", "<td nowrap>", "<td WIDTH=3>", "<br/>", "<p/>", "<b/>", "</br>", "</p>",
    "<img src=a alt='b>'>", "</b>", "<i>", "</i>", "<font color=red>", "<font id=x>", "</font>", "<em hidden>", "</em>",
    "<nobr>", "</nobr>", "<h1>", "</h2>", "<li>", "<dt>", "<dd>", "<table>", "<tr>", "<td>", "</td>", "<caption>",
    "</caption>", "<col>", "</table>", "<body>", "</body>", "</html>", "<form>", "</form>", "<pre>", "<pre>\n",
    "</pre>", "\r", "\r\n", "\n", "  ", "&nbsp", "&nbsp;", "&am", "p;", "&#32;", "&#x20;", "&#8203;", "&#150;",
    "&#55296;", "&frac12;", "&copy", "&notit;", "&foo;", "&Tab;", "&", "& ", "&#", "&lt;b&gt;", "a", "b c", "é", "<",
    ">", "x<y", "<!-- c -->", "{", "\ue000", "\f", "<span class=\"a\"id=b>",
    "<p style=\"color:red; y=\" z=\";display:none\">",
    "<p style=\"color:red; y=\"z=\";display:none\">", "<span style='a' style='display:none'>", "</span>", "<o:p>",
    "<svg>", "<text>", "</text>", "</svg>", "<q>", "</q>", "<textarea>", "</textarea>", "<video>", "</video>",
    "<p hidden>", "<input type=hidden>", "<input TYPE=HIDDEN>", "<table align=left>", "<section>", "<div>", "</div>",
    "<select>", "<option>", "</select>", "<div style='display:flex'>", "<i style='visibility:hidden'>", "< 5", "<6 & ",
    "<details>", "<summary>", "<legend>", "<h2>", "</h1>", "<button>", "</button>", "<ruby>", "<rt>", "</ruby>",
    "<menu>", "<object>", "<dialog>", "<noscript>", "<w:sdt style='display:none'>", "</w:sdt>", "<!DOCTYPE html>",
    "<?xml:namespace prefix = o />", "R&D,", "&lt", "&#129;", "<!-- a - b -->", "<!-->", "<!--<b>-->",
    "<style>#x,.x{display:none}</style>", "<STYLE type=text/css><!-- p{margin:0} --></STYLE>", "<b class=x>",
    "<p id=x>", "<style>",
]  # fmt: skip
# Each was once read otherwise, or shows why something is refused.
PECULIAR = [
    "<p style='white-space:pre-line'>a\n<img> b",
    "<span style='white-space:pre'>a\n</span> b",
    "a<pre>\n\n b</pre>",
    "<p><em hidden>a<p>b",
    "<p><nobr hidden>a<p>b",
    "<nobr><ruby></nobr>a<li><rt>b </rt></li>c",
    "<a><rp><s>a</s><h1>b</h1></a>c",
    "<video><i>a</video>b</i>c",
    "<div style='display:flex'>a<q>b</q></div>",
    "a<!-->b<br>c--></b>d & e",
    "<textarea><style>b{display:none}</style></textarea>a<b>c</b>",
    "<svg><style>b{display:none}</style></svg>a<b>c</b>",
    "<!-- <style>b{display:none}</style> --><b>c</b>",
    "<style>b{display:none}<!--</style><b>c</b>--><b>d</b>",
    "<title><style>b{display:none}</style></title><b>c</b>",
    "<style>#x{display:none}</style><b id=x>a</b><b id=y>c</b>",
    "<style>.x{visibility:hidden}</style><b><i class=x>a</b>b</i>",
    "<a<!-->x<b>--></b></a<!-->y",
    "<script><!--<script></script><p>x</p>--></script>z",
    "<xmp><!--</xmp>x<b>--></b>",
    "<a<b>c</a<b>d",
    "<p c<d=1>x",
    "<svg><style><b></style></svg>x",
    "<noscript><p>x</noscript>y",
    "<template><script>a<b</script></template>y",
    "<pre>\n\n x</pre>",
    "<pre>\n</pre>x",
    "<pre><!-- c -->\nx</pre>",
    "<pre><script>y</script>\nx</pre>",
    "<listing>\n\nx<present>\ny",
    "a <span style='white-space:pre'> \n </span> b",
    "a <a style='display:inline-block'> <p>b </p> </a> c <button> d <b>e </b></button>f",
    "<table><tr><td>a<td style='display:inline-block'>b<td style='display:block'>c<tr style='display:block'><td>d",
    "<div style='text-transform:uppercase'>a &amp;nbsp; ß&nbsp;<b style='text-transform:none'>b</b><p>c",
    "<i style='white-space:pre'>a  <i style='text-transform:uppercase'>b  b</i>  c</i>  d",
    "<style>.x{white-space:pre}</style><i class=x>a  b</i>",
    "<style>#x{display:none} li{display:inline}</style><ul><li>a<li>b</ul><p id=x>c<p>d",
    "<style>p{display:inherit}</style><div>a<p>b",
    "<style>div{white-space:pre}</style>a  b",
    "<!--[if gte vml 1]><v:shape type=x><b>one<p>two",
    "<meta http-equiv=a<style>@keyframes x{}</style><b>x</b>",
    "<style>.x{display:none}</style><style>.x{display:block}</style><b class=x>a</b>b",
    "<template><style>p{display:none}</style></template><p>a",
    "<style>*{display:block}</style><p>a<script>b</script>c",
    "<style class=x>.x{display:block}</style>a",
    "<svg><style>p{display:none}</style></svg><p>a",
    "<pre>a<table> <tr><td>x</table>",
    "<pre>a<p style='white-space:normal'>  b",
    "<div hidden><div>x</div><pre> y</div> z",
    "<!-->a-->b<!--->c<?x-->d",
    "<table><tr></tr><tr><td>a<td hidden>b<td>c<tr hidden><td>d</table>",
    "<table><tr><td>a</td></tr><tr><td><table><tr><td>b<td>c</table>",
    "<table><tr><td style='visibility:hidden;display:block'>a<td>b",
    "<table><tr style='visibility:hidden;display:block'><td>a<tr><td>b",
    "<table><caption style='display:block;visibility:hidden'>c</caption><tr><td>a</table>",
    "<stylesheet>a {b}<style>p{margin:0}</style>c",
    "<script-x>hello<script>1</script>{<!-- -->",
    "<style-><!--</style>",
    "<table><td><y<style>table{display:none}<style>",
    "<table>\f<tr><td>a</table>b",
    "<table><tr><td>a</td></tr>&#12;</table>y",
    "<table><tbody style='display:block'><tr><th>a<tr><td>b</table>c",
    "<table><tr><td>a<caption>x</caption><tr><td>b",
    "a\fb<p>\fc",
    "<p style='white-space:pre-line'>a\n<img> b<img> \nc",
    "<p style='white-space:pre-line'>é b <img>\n<p>c",
    "<p>a<script>x<!--<script></script><br>y</script>b",
    "<p>a<script>x<!--<script></script><p>y",
    "<table><td><p hidden><select><option>\n<table><b>a",
    "<span hidden><isindex></span>a",
    "<span><isindex></span>a",
    "<details><summary>a</summary><select><table>b</details>c",
    "<p style='text-transform:uppercase'>&amp;lt; &lt;b&gt; &amp;nbsp;ß<b>&nbsp;i</b>",
    '<p style="color:red; y=" z=";display:none">a</p>b',
    '<span hidde title="x"n>a</span>b',
    '<p style title=x="display:none">a</p>b',
    '<p title="x"re> a  b</p>c',
    "<p title=a\fhidden>x</p>y",
    "<span style=display:inline-block>a& </span>lt;b",
    "a& <div style='visibility:hidden'>x</div>lt;",
    "a&#127;b<br>&#65534;&#xfffe;&#64976;&#131070;",
    "<pre a<b=c>\n\nx</pre>",
    "<svg><sup>a",
    "a <svg><g> <title>t</title><text> b\n</text> </g><path d=x /></svg> c <svg><rect/></svg> d",
    "<svg><text>a<tspan>b</tspan></text></svg><svg><desc><text>a</text></desc></svg>",
    "<svg><g hidden><text>a</text></g></svg>b",
    "<style>text{display:none}</style><svg><text>a</text></svg>b",
    "a <q> b </q> c<pre>d\n<q>e</q>\n</pre>",
    "a <textarea>b</textarea> <object data=x>c</object><object>d</object>",
    "a <video><p>b</video> c<canvas hidden>d</canvas>",
    "<pre>a\n<video>b</video>\n</pre>",
    "<xml><w:x>a</w:x></xml>b",
    "<p style='text-transform:uppercase'>a <pre> b\n</pre> c<p><b hidden>d</b><i hidden>e <b>f</b></i> g",
    f"<p{' a' * 700}{'=b' * 700}>x",
    "a <select><option> b  c<option>d<optgroup><option>e</select> f <select></select> g <select>h</select>i",
    "<select><option>a<b>b</b></select><select><option>c<style>d</style></select><select><hr><option>e</select>",
    "<table><tr><td><select>a<table><li>b",
    "<h2 style='text-transform:uppercase'>a <select><option>b</select></h2><pre>c\n<select><option>d  e</select>",
    "<div style='display:flex'>a <b>b</b> c <p>d</p><span>e<i>f</i></span></div>g",
    "<div style='display:flex'><img>a</div><div style='display:grid'><b style='display:flex'>b</b><b>c</b></div>",
    "a <p style='display:inline-flex'></p> b<pre> c <i style='display:flex'> d </i></pre>",
    "a <i style='visibility:hidden'>b</i> c<i style='visibility:hidden'>d </i> e",
    "a <i style='visibility:hidden'> b</i> c",
    "<i style='visibility:hidden'>a</i><div></div>b<p>c<i style='visibility:hidden'>d<b>e</b></i>f",
    "a<span style='white-space:pre-line'>b\n</span><i style='visibility:hidden'>c</i> d",
    "<b>a<p>b < 5 & c</b> d</p><p>e <i>f<p>g",
    "<b>a<p>b</b><q>c</q> d <i><q>e </i> f</q>",
    "<b>a<details><summary>b</summary></b>c",
    "<b>a<div style='display:flex'>b</b><i>c</i>d",
    "<i>a<p>b</i><b>c<span hidden>d</b>e</span>f",
    "<i>a<p>b</i><b>c<legend>d</b>e</legend>f",
    "<p><b>a<p><h1><i><h1>b</h1></i><pre>c  d</h1>e  f",
    "<p><b>a<p><select><option><i>b</option>c</select>d",
    "<b>a<p><pre><i>\n\nb</pre></b>c",
    "<pre><!--[if mso]><![endif]-->\na</pre>b",
    "<title>a<!-- b --></title>c<textarea><!-- d --></textarea><select><option>e<!-- f -->g</select>",
    "a<!-- b -->c <!-- d -- e --> &am<!-- f -->p; <a title='<!-- g -->'>h</a><!-- i",
    "<b>a<p>b</b> c <svg><text>d<b>e</b></text></svg>f",
    "<svg><p>a</svg><svg><title><i>b</title></svg>c",
    "<b><g hidden>a</b> b",
    "<i><text style='display:none'>a</i> b",
    "<b>a<path style='display:none'></b> b",
    "<select><option>a<style>{</style>",
    "<table><form><tr><td>a<td>b</form></table>c",
    "a\n<font style='visibility:hidden'>\u200b",
    "a <i style='visibility:hidden'>&#8203;</i>\nb",
    "<listing></<listing type=hidden>\r",
    "<noscript><p>a</noscript><p>b &amp; c<noscript>&lt;</noscript>d",
    "<noscript><!--</noscript>a<noscript>--></noscript>b<p hidden><noscript></p></noscript>c</p>d",
    "<div style='text-transform:uppercase'><noscript></div></noscript>a</div>b",
    "<svg><script><style>b{display:none}</style></script></svg><b>a</b>",
    "<p style='text-transform:uppercase'>a<button>b</button>c",
    "<style>.a.b{display:none} .b{display:block}</style><b class='b a'>a</b><b class=b>b</b>c",
    "<style media='print, screen'>@media all,print{b{display:none}}</style>a<b>b</b>c",
    "<style>b,::c{display:none} i{display:none</style>a<b>b</b><i>c</i>d",
]
STYLES = [
    "", *(f"display:{value}" for value in sorted(KEYWORDS)), *(f"white-space:{value}" for value in
    ("normal", "nowrap", "pre", "pre-wrap", "pre-line", "break-spaces", "inherit")), "float:left", "position:absolute",
    "position:relative", "visibility:hidden", "visibility:visible", "text-transform:uppercase",
    "text-transform:lowercase", "text-transform:capitalize", "text-transform:none", "display:inherit",
    "display:initial",
    "display:none !important; display:block", "white-space:pre; text-transform:uppercase",
]  # fmt: skip
common_markup = st.lists(st.sampled_from(COMMON + RARER), max_size=30).map("".join)
markup_as_sent = st.lists(st.sampled_from(AS_SENT), max_size=15).map("".join)


def sample(pieces: list[str], seed: int, count: int, longest: int = 40) -> Iterable[str]:
    """Yield bodies of random pieces, the same for the same seed."""
    random = Random(seed)  # noqa: S311  seeded, to be the same again
    for _ in range(count):
        yield "".join(random.choices(pieces, k=random.randrange(longest)))


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Begin with nothing looked up, and let nobody else have what was."""
    monkeypatch.setattr(marks, "by_tag", marks._ByTag())
    forget()
    yield
    forget()


def forget() -> None:
    stylesheet._remembered_tree.cache_clear()
    boxes._remembered.cache_clear()
    styled._remembered.cache_clear()


def takes_the_fast_way(body: str) -> bool:
    return fast_text(parse_to_write(well_formed(body)).inner_html) is not None


def reads_otherwise(body: str) -> bool:
    """Whether a short cut reads a body otherwise than the walk over lexbor's tree."""
    return inner_text(body) != walked_text(body)


def differences(bodies: Iterable[str]) -> int:
    """Return how many bodies are read otherwise."""
    return sum(map(reads_otherwise, bodies))


@unhurried
@given(st.one_of(common_markup, markup_as_sent, markup))
def test_short_cuts_give_what_the_walk_gives(body: str) -> None:
    assert inner_text(body) == walked_text(body)


@pytest.mark.parametrize(
    "pieces",
    [COMMON, COMMON + RARER, COMMON + PIECES, PIECES],
    ids=["common", "rarer", "mixed", "odd"],
)
def test_short_cuts_give_what_the_walk_gives_on_a_sample(pieces: list[str]) -> None:
    assert differences(sample(pieces, seed=1, count=2_000)) == 0


def test_short_cuts_give_what_the_walk_gives_on_bodies_as_people_send_them() -> None:
    assert differences(sample(AS_SENT, seed=1, count=6_000, longest=12)) == 0


def test_short_cuts_give_what_the_walk_gives_on_letters_and_random_markup() -> None:
    random = Random(3)  # noqa: S311  seeded, to be the same again
    assert differences(random_markup(random) for _ in range(1_000)) == 0
    assert differences(letter(random).html for _ in range(1_000)) == 0


@pytest.mark.parametrize("style", STYLES)
def test_every_element_in_every_style_reads_the_same(style: str) -> None:
    """By itself, in a line, in a table and around blocks, in turn."""
    around = cycle(
        (
            "{}",
            "a {} b",
            "<p>a {}</p> b",
            "<b>a {}</b>",
            "<table><tr><td>a {} <td>b</table>",
            "<pre>a\n {} b</pre>",
            "<table>{}</table> b",
        )
    )
    inside = (" x ", " x <p> y </p> z ", "<br> x <img> ", "\n  x\n", "<tr><td> x <td> y")
    # lexbor loses an `image` in a table, which is an `img` (HTML standard §13.2.6.4.7).
    names = sorted(ELEMENTS - {"image"})
    elements = [f"<{name} style='{style}'>{body}</{name}>" for name in names for body in inside]
    assert differences(next(around).format(element) for element in elements) == 0


@pytest.mark.parametrize("case", inner_text_cases(), ids=lambda case: case.name)
def test_short_cuts_give_what_the_walk_gives_on_the_corpus(case: Case) -> None:
    assert inner_text(case.html) == walked_text(case.html)


@pytest.mark.parametrize("body", PECULIAR)
def test_what_was_once_read_otherwise_is_read_the_same(body: str) -> None:
    assert inner_text(body) == walked_text(body)


def test_most_of_what_letters_are_made_of_takes_the_fast_way() -> None:
    """Without it, the tests above would compare little."""
    taken = sum(map(takes_the_fast_way, sample(COMMON, seed=2, count=500, longest=10)))
    assert taken > 150


def test_most_letters_take_the_fast_way() -> None:
    random = Random(4)  # noqa: S311  seeded, to be the same again
    taken = sum(takes_the_fast_way(letter(random).html) for _ in range(1_000))
    assert taken > 900


@pytest.mark.parametrize(
    ("module", "place", "mistake"),
    [
        (short_cut, "collapse", lambda text: text),
        (short_cut, "_in_lines", lambda text: text.replace("\x01", "\n")),
        (
            short_cut,
            "_without_boxes",
            lambda text: text.replace("\x01", "\n").replace("\x02", "\n\n").replace("\x07", ""),
        ),
        (short_cut, "_without_tables", lambda text: text.replace("\x04", "\x01").replace("\x05", "\n")),
        (short_cut, "unescape", lambda text: text.replace("&amp;", "&").replace("&lt;", "<").replace("&nbsp;", "\xa0")),
        (short_cut, "_is_for_the_walk", lambda *_: False),
        (marks, "attributes_of", lambda _: {}),
        (marks, "NOT_IN_TEXTS", ""),
        (marks, "WRITTEN", marks.WRITTEN[1:]),
        (marks, "_FOR_THE_WALK", frozenset()),
        (marks, "_MARKS_IN_TABLES", {**marks._MARKS_IN_TABLES, "table-caption": ("\x01", "\x01")}),
        (marks, "_MARKS_BY_DISPLAY", {**marks._MARKS_BY_DISPLAY, "inline-block": ("", "")}),
        (styled, "_shown", lambda text, style: "" if style is None else text),
        (styled, "transform_case", lambda text, _: text),
        (styled, "_KEEP_SPACES", frozenset({"pre"})),
        (tree, "_READ_OTHERWISE", ()),
        (tree, "with_plain_rules_applied", parse_to_write),
        (stylesheet, "_rules_of", lambda _: []),
        (innertext, "collapse", lambda text: text),
        (innertext, "_MORE_THAN_WORDS", "<"),
    ],
    ids=range(20),
)
def test_a_mistake_in_a_short_cut_is_found(
    monkeypatch: pytest.MonkeyPatch, module: object, place: str, mistake: object
) -> None:
    """Each planted mistake makes the sample differ from the walk."""
    monkeypatch.setattr(module, place, mistake)
    usual = sample(COMMON + RARER, seed=1, count=2_000, longest=12)
    assert any(map(reads_otherwise, [*PECULIAR, *usual, *sample(AS_SENT, seed=1, count=6_000, longest=12)]))


@pytest.mark.parametrize(("tag", "mark"), [("li", ""), ("img", ""), ("/p", "\x01"), ("tr", ""), ("br", "\x01")])
def test_a_wrong_mark_is_found(monkeypatch: pytest.MonkeyPatch, tag: str, mark: str) -> None:
    monkeypatch.setitem(marks.by_tag, f"{tag}>", mark)
    assert any(map(reads_otherwise, sample(COMMON, seed=1, count=2_000, longest=10)))


@pytest.mark.parametrize(
    ("place", "mistake"),
    [
        ("_is_section", lambda *_: False),
        ("_drops_white_space", lambda _: False),
        ("_is_shown", lambda *_: True),
        ("options_of", lambda _: ()),
        ("_NO_BOX", frozenset()),
    ],
)
def test_a_mistake_in_the_walk_is_found(monkeypatch: pytest.MonkeyPatch, place: str, mistake: object) -> None:
    """By what browsers say of the corpus, whose texts are written down."""
    monkeypatch.setattr(innertext, place, mistake)
    assert any(walked_text(case.html) != case.text for case in inner_text_cases())


@pytest.mark.parametrize(
    ("tag", "mark"),
    [
        ("p", "\x02"),
        ("/p", "\x02"),
        ('p class="MsoNormal"', "\x02"),
        ('p style="margin:0"', "\x02"),
        ('p style="display:none"', ">"),
        ('p style="visibility:inherit"', ">"),
        ('p hidden=""', ">"),
        ("pre", ">"),
        ("o:p", ""),
        ("table", "\x04"),
        ("/table", "\x01"),
        ('table align="left"', "<"),
        ('td align="left"', "\x06"),
        ("/td", ""),
        ("tr", "\x05"),
        ("img", "\x07"),
        ('input type="hidden"', ""),
        ("caption", "\x08"),
        ("/caption", "\x08"),
        ('a style="display:inline-block"', ">"),
        ('h2 style="text-transform:uppercase"', ">"),
        ('img style="display:block"', "\x01"),
        ('p style="float:left"', "<"),
        ('table align="center"', "\x04"),
        ("form", "<"),
        ("q", "\x07"),
        ("textarea", "<"),
        ("meta", ""),
        ("!-- a", "<"),
        ("a<b", "<"),
        ('a href="x" b"c=""', "<"),
    ],
)
def test_what_a_tag_means(tag: str, mark: str) -> None:
    assert marks.by_tag[f"{tag}>"] == mark


def test_few_tags_are_remembered_and_no_long_ones() -> None:
    for number in range(marks.MOST_TAGS + 10):
        assert marks.by_tag[f'font size="{number}">'] == ""
        assert len(marks.by_tag) <= marks.MOST_TAGS
    known = len(marks.by_tag)
    assert marks.by_tag[f'a href="{"x" * 500}">'] == ""
    assert len(marks.by_tag) == known
    before = styled._remembered.cache_info().currsize
    assert inner_text(f'<i hidden>a</i><a href="{"x" * 500}">b</a>') == "b"
    assert styled._remembered.cache_info().currsize == before + 1
