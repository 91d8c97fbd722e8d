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
from worker.transform import kept, marked, marks, regions, runs
from worker.transform.display import KEYWORDS
from worker.transform.elements import ELEMENTS
from worker.transform.innertext import inner_text, walked_text
from worker.transform.marked import marked_text
from worker.transform.marks import (
    ANOTHER_DISPLAY,
    BLOCK,
    CELL,
    CLEAN_FIRST,
    INLINE,
    INLINE_BLOCK,
    INVISIBLE,
    KEEPS_LINE_FEEDS,
    KEEPS_WHITE_SPACE,
    NOT_RENDERED,
    PARAGRAPH,
    PICTURE,
    TABLE,
    UPPER_CASE,
    WALK,
    Marks,
    mark_of,
)  # fmt: skip
from worker.transform.pieces import Pieces, pieces_of
from worker.transform.runs import Runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

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
]  # fmt: skip
STYLES = [
    "", *(f"display:{value}" for value in sorted(KEYWORDS)), *(f"white-space:{value}" for value in
    ("normal", "nowrap", "pre", "pre-wrap", "pre-line", "break-spaces", "inherit")), "float:left", "position:absolute",
    "position:relative", "visibility:hidden", "visibility:visible", "text-transform:uppercase",
    "text-transform:lowercase", "text-transform:capitalize", "text-transform:none", "display:inherit",
    "display:initial",
    "display:none !important; display:block", "white-space:pre; text-transform:uppercase",
]  # fmt: skip
common_markup = st.lists(st.sampled_from(COMMON + RARER), max_size=30).map("".join)


class Mistaken(Marks):
    """Marks, some of them wrong."""

    def __init__(self, mistakes: dict[str, str]) -> None:
        super().__init__()
        self.update(mistakes)


def show_all(pieces: Pieces, at: int, found: regions._Found) -> bool:
    """Take closed details for open ones."""
    pieces.put(at, at, [*found.before, *found.first])
    return True


def sample(pieces: list[str], seed: int, count: int) -> Iterable[str]:
    """Yield bodies of random pieces, the same for the same seed."""
    random = Random(seed)  # noqa: S311  seeded, to be the same again
    for _ in range(count):
        yield "".join(random.choices(pieces, k=random.randrange(40)))


@pytest.fixture
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Begin with nothing looked up, and let nobody else have what was."""
    monkeypatch.setattr(marked, "_runs", Runs(Marks()))
    marked._runs_with.cache_clear()
    yield
    marked._runs_with.cache_clear()


def differences(bodies: Iterable[str]) -> int:
    """Return how many bodies the fast way reads otherwise than the walk does."""
    texts = ((marked_text(body), body) for body in bodies)
    return sum(text is not None and text != walked_text(body) for text, body in texts)


@unhurried
@given(st.one_of(common_markup, markup))
def test_the_fast_way_gives_what_the_walk_gives(body: str) -> None:
    assert marked_text(body) in {None, walked_text(body)}


@pytest.mark.parametrize(
    "pieces", [COMMON, COMMON + RARER, COMMON + PIECES, PIECES], ids=["common", "rarer", "mixed", "odd"]
)
def test_the_fast_way_gives_what_the_walk_gives_on_a_sample(pieces: list[str]) -> None:
    assert differences(sample(pieces, seed=1, count=2_000)) == 0


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
    assert set(walked) <= {"portal"}  # its lists of options
    assert walked.total() < 0.01 * len(letters)


@pytest.mark.parametrize(
    ("module", "place", "mistake"),
    [
        (runs, "collapse", lambda text: text),
        (runs, "spaces_only", lambda text: text.replace("\n", " ")),
        (runs, "_without_tables", lambda text: text.replace("\r", "\n").replace("\f", "<")),
        (runs, "_without_edges", lambda text: text.strip("<\v").replace("\v", "\n\n")),
        (runs, "PARAGRAPH", "|"),
        (marked, "without_spaces_at_kept_breaks", lambda text: text),
        (marked, "decoded", lambda text: text.replace("&amp;", "&").replace("&lt;", "<").replace("&nbsp;", "\xa0")),
        (marked, "is_for_a_screen", lambda _: False),
        (marked, "with_white_space_kept", lambda canonical, *_: canonical.replace("<pre>", "<div>")),
        (regions, "encoded", lambda text: text),
        (regions, "_SWITCHES", {}),
        (regions, "_cut_behind_summary", show_all),
        (regions, "_end", lambda pieces, start, place, _: (start, pieces.apart(start).tags, place)),
        (kept, "_OTHERWISE", dict.fromkeys((KEEPS_WHITE_SPACE, KEEPS_LINE_FEEDS), re.compile("nothing"))),
        (marked, "has_picture_at_kept_break", lambda _: False),
        (marks, "UNREAD", re.compile(' style="[^"]*"')),
    ],
    ids=range(16),
)
@pytest.mark.usefixtures("nothing_known")
def test_a_mistake_in_the_fast_way_is_found(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, place: str, mistake: object
) -> None:
    """Each planted mistake makes the sample differ from the walk."""
    monkeypatch.setattr(module, place, mistake)
    rare = ["<p style='white-space:pre-line'>a\n<img> b", "<span style='white-space:pre'>a\n</span> b"]
    assert differences([*rare, *sample(COMMON + RARER, seed=1, count=2_000)]) > 0


@pytest.mark.parametrize(
    "mistakes", [{"li": INLINE, "/li": INLINE}, {"img": INLINE}, {"/caption": BLOCK}], ids=["li", "img", "caption"]
)
@pytest.mark.usefixtures("nothing_known")
def test_a_wrong_mark_is_found(monkeypatch: pytest.MonkeyPatch, mistakes: dict[str, str]) -> None:
    monkeypatch.setattr(marked, "_runs", Runs(Mistaken(mistakes)))
    assert differences(sample(COMMON + RARER, seed=1, count=2_000)) > 0


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
        ("select", WALK),
        ("script", CLEAN_FIRST),
        ("!-- a", CLEAN_FIRST),
        ('a style="display:inline-block"', INLINE_BLOCK),
        ('td style="display:inline-block"', WALK),
        ('p style="visibility:hidden"', INVISIBLE),
        ('span style="visibility:hidden"', WALK),
        ('span style="display:block"', ANOTHER_DISPLAY + BLOCK),
        ('h1 style="text-transform:uppercase"', UPPER_CASE + BLOCK),
        ('h1 style="text-transform:uppercase;white-space:pre"', WALK),
        ("a<b", WALK),
        ('p a"b="c"', WALK),
    ],
)
def test_what_a_tag_means(tag: str, mark: str) -> None:
    assert mark_of(tag) == mark
    assert Marks()[tag] == mark


def test_runs_keep_no_address_and_a_bounded_number() -> None:
    known = Runs(Marks())
    pieces = pieces_of('a<a href="https://x.example/ann">b</a><p hidden title="Ann">c</p>', known)
    assert [pieces.apart(at).tags for at in pieces.odd()] == [["/a", "p hidden"]]
    for number in range(Marks.MAX_KEPT + 10):
        assert known[f'font size="{number}"> '] == " "
        assert len(known) <= Marks.MAX_KEPT
    assert not any("ann" in run.lower() for run in known)


def test_under_style_sheets_fewer_runs_are_kept() -> None:
    under_rules = marked._runs_with(("b{display:none}",))
    assert under_rules is not None
    for number in range(Marks.MAX_KEPT_UNDER_RULES + 10):
        assert not under_rules[f'font size="{number}">']
        assert len(under_rules) <= Marks.MAX_KEPT_UNDER_RULES
    assert under_rules['b title="Ann" id="x">'] == "<"
    assert 'b id="x">' in under_rules
    assert not any("ann" in run.lower() for run in under_rules)


def test_marks_keep_no_address_and_a_bounded_number_of_tags() -> None:
    marks = Marks()
    assert marks['a href="https://x.example/ann" title="Ann"'] == INLINE
    for number in range(Marks.MAX_KEPT + 10):
        assert marks[f'font size="{number}"'] == INLINE
        assert len(marks) <= Marks.MAX_KEPT
    assert marks["Ann takes p"] == WALK
    assert marks['take two="" tablets=""'] == INLINE
    assert marks['p ann=""'] == PARAGRAPH
    assert marks['input value="Ann"'] == PICTURE
    assert not any(word in tag.lower() for tag in marks for word in ("ann", "tablets"))


@pytest.mark.parametrize(
    "body",
    [
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
    ],
)
def test_what_cannot_be_split_is_read_all_the_same(body: str) -> None:
    assert inner_text(body) == walked_text(body)
