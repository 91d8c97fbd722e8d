"""The fast way to a body's text gives what the walk gives, and a mistake in it would be seen."""

from __future__ import annotations

import re
from collections import Counter
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.browser.generator import random_markup
from tests.browser.letters import letter
from tests.unit.corpus import Case, inner_text_cases
from tests.unit.markup import PIECES, markup, unhurried
from worker.transform import boxes, chains, kept, layout, marked, regions, runs, stylesheet
from worker.transform.chains import write_out_chains
from worker.transform.display import KEYWORDS
from worker.transform.elements import ELEMENTS
from worker.transform.innertext import inner_text, walked_text
from worker.transform.marked import marked_text
from worker.transform.marks import (
    ANOTHER_DISPLAY,
    BLOCK,
    CELL,
    CLEAN_FIRST,
    DRAWING,
    INLINE,
    INLINE_BLOCK,
    INVISIBLE,
    ITEMS,
    KEEPS_LINE_FEEDS,
    KEEPS_WHITE_SPACE,
    NOT_RENDERED,
    OPTIONS,
    PARAGRAPH,
    PICTURE,
    REPLACED,
    TABLE,
    UNSEEN,
    UPPER_CASE,
    WALK,
    Marks,
    mark_of,
)  # fmt: skip
from worker.transform.pieces import Pieces
from worker.transform.runs import Runs

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


class Mistaken(Marks):
    """Marks, some of them wrong."""

    def __init__(self, mistakes: dict[str, str]) -> None:
        super().__init__()
        self.update(mistakes)


def show_all(pieces: Pieces, at: int, found: regions._Found) -> bool:
    """Take closed details for open ones."""
    pieces.put(at, at, [*found.before, *found.first])
    return True


def sample(pieces: list[str], seed: int, count: int, longest: int = 40) -> Iterable[str]:
    """Yield bodies of random pieces, the same for the same seed."""
    random = Random(seed)  # noqa: S311  seeded, to be the same again
    for _ in range(count):
        yield "".join(random.choices(pieces, k=random.randrange(longest)))


def forget(monkeypatch: pytest.MonkeyPatch, marks: Marks) -> None:
    """Have nothing looked up before, and these marks for what will be."""
    monkeypatch.setattr(marked, "_runs", Runs(marks))


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Begin with nothing looked up, and let nobody else have what was."""
    forget(monkeypatch, Marks())
    stylesheet._remembered_body.cache_clear()
    yield
    stylesheet._remembered_body.cache_clear()


def reads_otherwise(body: str) -> bool:
    """Whether the fast way reads a body otherwise than the walk does."""
    text = marked_text(body)
    return text is not None and text != walked_text(body)


def differences(bodies: Iterable[str]) -> int:
    """Return how many bodies the fast way reads otherwise than the walk does."""
    return sum(map(reads_otherwise, bodies))


@unhurried
@given(st.one_of(common_markup, markup_as_sent, markup))
def test_the_fast_way_gives_what_the_walk_gives(body: str) -> None:
    assert marked_text(body) in {None, walked_text(body)}


@pytest.mark.parametrize(
    "pieces",
    [COMMON, COMMON + RARER, COMMON + PIECES, PIECES],
    ids=["common", "rarer", "mixed", "odd"],
)
def test_the_fast_way_gives_what_the_walk_gives_on_a_sample(pieces: list[str]) -> None:
    assert differences(sample(pieces, seed=1, count=2_000)) == 0


def test_the_fast_way_gives_what_the_walk_gives_on_bodies_as_people_send_them() -> None:
    assert differences(sample(AS_SENT, seed=1, count=6_000, longest=12)) == 0


def test_the_fast_way_gives_what_the_walk_gives_on_letters_and_random_markup() -> None:
    random = Random(3)  # noqa: S311  seeded, to be the same again
    assert differences(random_markup(random) for _ in range(1_000)) == 0
    assert differences(letter(random).html for _ in range(1_000)) == 0


@pytest.mark.parametrize("style", STYLES)
def test_every_element_in_every_style_reads_the_same(style: str) -> None:
    """By itself, in a line, in a table and around blocks."""
    around = (
        "{}",
        "a {} b",
        "<p>a {}</p> b",
        "<b>a {}</b>",
        "<table><tr><td>a {} <td>b</table>",
        "<pre>a\n {} b</pre>",
        "<table>{}</table> b",
    )
    inside = (" x ", " x <p> y </p> z ", "<br> x <img> ", "\n  x\n", "<tr><td> x <td> y")
    # lexbor loses an `image` in a table, which is an `img` (HTML standard §13.2.6.4.7).
    names = sorted(ELEMENTS - {"image"})
    elements = [f"<{name} style='{style}'>{body}</{name}>" for name in names for body in inside]
    assert differences(context.format(element) for context in around for element in elements) == 0


@pytest.mark.parametrize("case", inner_text_cases(), ids=lambda case: case.name)
def test_the_fast_way_gives_what_the_walk_gives_on_the_corpus(case: Case) -> None:
    assert marked_text(case.html) in {None, walked_text(case.html)}


def test_most_of_what_letters_are_made_of_takes_the_fast_way() -> None:
    """Without it, the tests above would compare nothing."""
    taken = sum(marked_text(body) is not None for body in sample(COMMON, seed=2, count=500))
    assert taken > 300


def test_nearly_all_letters_take_the_fast_way() -> None:
    """A walk takes much longer. Whole documents were walked once, unnoticed, for their `title`."""
    random = Random(4)  # noqa: S311  seeded, to be the same again
    letters = [letter(random) for _ in range(3_000)]
    walked = Counter(one.shape for one in letters if marked_text(one.html) is None)
    assert not walked


@pytest.mark.parametrize(
    ("module", "place", "mistake"),
    [
        (layout, "collapse", lambda text: text),
        (layout, "spaces_only", lambda text: text.replace("\n", " ")),
        (layout, "_without_tables", lambda text: text.replace("\r", "\n").replace("\f", ">")),
        (layout, "_without_edges", lambda text: text.strip(">\v").replace("\v", "\n\n")),
        (layout, "PARAGRAPH", "|"),
        (runs, "_FIRST_LINE_FEED", re.compile("(nothing)")),
        (marked, "without_spaces_at_kept_breaks", lambda text: text),
        (marked, "decoded", lambda text: text.replace("&amp;", "&").replace("&lt;", "<").replace("&nbsp;", "\xa0")),
        (stylesheet, "_rules_of", lambda _: []),
        (regions, "kept_in_texts", lambda content, _: content),
        (regions, "in_upper_case", str.upper),
        (regions, "_SWITCHES", {}),
        (regions, "_cut_behind_summary", show_all),
        (regions, "_end", lambda pieces, start, place, _: (start, pieces.apart(start).tags, place)),
        (regions, "has_picture_at_kept_break", lambda _: False),
        (kept, "_OTHERWISE", dict.fromkeys((KEEPS_WHITE_SPACE, KEEPS_LINE_FEEDS), re.compile("nothing"))),
        (Marks, "_if_read", lambda *_: ""),
        (chains, "_cut", lambda text: text),
        (marked, "has_rules_about_text", lambda _: False),
        (chains, "hides_white_space", lambda _: False),
        (regions, "_NOT_WHERE_IT_IS_KEPT", frozenset()),
        (boxes, "EDGES", (INLINE, BLOCK, PARAGRAPH, PICTURE)),
    ],
    ids=range(22),
)
def test_a_mistake_in_the_fast_way_is_found(
    monkeypatch: pytest.MonkeyPatch, module: object, place: str, mistake: object
) -> None:
    """Each planted mistake makes the sample differ from the walk."""
    monkeypatch.setattr(module, place, mistake)
    usual = sample(COMMON + RARER, seed=1, count=2_000)
    assert any(map(reads_otherwise, [*PECULIAR, *usual, *sample(AS_SENT, seed=1, count=6_000, longest=12)]))


@pytest.mark.parametrize(
    "mistakes", [{"li": INLINE, "/li": INLINE}, {"img": INLINE}, {"/caption": BLOCK}], ids=["li", "img", "caption"]
)
def test_a_wrong_mark_is_found(monkeypatch: pytest.MonkeyPatch, mistakes: dict[str, str]) -> None:
    forget(monkeypatch, Mistaken(mistakes))
    assert any(map(reads_otherwise, sample(COMMON + RARER, seed=1, count=2_000)))


@pytest.mark.parametrize(
    ("tag", "mark"),
    [
        ("p", PARAGRAPH),
        ("/p", PARAGRAPH),
        ('p class="MsoNormal"', PARAGRAPH),
        ('p style="margin:0"', PARAGRAPH),
        ('p style="display:none"', NOT_RENDERED),
        ('p style="float:left"', WALK),
        ('p style="display:inline"', WALK),
        ('p style="visibility:inherit"', WALK),
        ('p style="white-space:pre-wrap"', KEEPS_WHITE_SPACE + PARAGRAPH),
        ("pre", KEEPS_WHITE_SPACE + BLOCK),
        ("/pre", BLOCK),
        ("o:p", INLINE),
        ("table", TABLE),
        ("/table", BLOCK),
        ('table align="left"', WALK),
        ("td", CELL),
        ("/td", INLINE),
        ("img", PICTURE),
        ('img hidden=""', INLINE),
        ('input type="hidden"', INLINE),
        ("select", OPTIONS),
        ('select multiple="" style="color:red"', OPTIONS),
        ('select style="display:block"', WALK),
        ("svg", DRAWING),
        ("q", PICTURE),
        ("textarea", REPLACED),
        ('video style="display:block"', WALK),
        ("script", CLEAN_FIRST),
        ("!-- a", CLEAN_FIRST),
        ('a style="display:inline-block"', INLINE_BLOCK),
        ('td style="display:inline-block"', WALK),
        ('p style="visibility:hidden"', INVISIBLE),
        ('span style="visibility:hidden"', UNSEEN),
        ('span style="visibility:hidden;white-space:pre"', UNSEEN),
        ('td style="visibility:hidden"', WALK),
        ('div style="display:flex"', ITEMS + BLOCK),
        ('p style="display:grid"', ITEMS + PARAGRAPH),
        ('span style="display:inline-flex"', WALK),
        ('td style="display:flex"', WALK),
        ('span style="display:block"', ANOTHER_DISPLAY + BLOCK),
        ('h1 style="text-transform:uppercase"', UPPER_CASE + BLOCK),
        ('h1 style="text-transform:uppercase;white-space:pre"', WALK),
        ("a<b", WALK),
    ],
)
def test_what_a_tag_means(tag: str, mark: str) -> None:
    assert mark_of(tag) == mark
    assert Marks()[tag] == mark


def test_runs_keep_no_address_and_a_bounded_number() -> None:
    known = Runs(Marks())
    pieces = Pieces(known, *known.read('a<a href="https://x.example/ann">b</a><p hidden title="Ann">c</p>'))
    assert [pieces.apart(at).tags for at in pieces.odd()] == [["/a", "p hidden"]]
    for number in range(Marks.MAX_KEPT + 10):
        assert known[f'font size="{number}"> '] == " "
        assert len(known) <= Marks.MAX_KEPT
    assert not any("ann" in run.lower() for run in known)


def test_chains_keep_no_words_and_a_bounded_number() -> None:
    known = Runs(Marks())
    for number in range(Marks.MAX_KEPT + 10):
        html = f'<p hidden="" title="Ann">a</p>b<br>c<font size="{number}" hidden="">d</font>e<ann hidden="">f</ann>'
        write_out_chains(Pieces(known, *known.read(html)))
        assert len(known.chains) <= Marks.MAX_KEPT
        assert number > 0 or len(known.chains) == 2
    assert not any("ann" in run.lower() for chain in known.chains for run in chain)


def test_marks_keep_no_address_and_a_bounded_number_of_tags() -> None:
    marks = Marks()
    assert marks['a href="https://x.example/ann" title="Ann"'] == INLINE
    for number in range(Marks.MAX_KEPT + 10):
        assert marks[f'font size="{number}"'] == INLINE
        assert len(marks) <= Marks.MAX_KEPT
    assert marks["Ann takes p"] == WALK
    assert marks['take two="" tablets=""'] == INLINE
    assert marks['p ann=""'] == PARAGRAPH
    assert marks['p a"b="c"'] == PARAGRAPH
    assert marks['input value="Ann"'] == PICTURE
    assert not any(word in tag.lower() for tag in marks for word in ("ann", "tablets"))


@pytest.mark.parametrize("body", PECULIAR)
def test_what_cannot_be_split_is_read_all_the_same(body: str) -> None:
    assert inner_text(body) == walked_text(body)
