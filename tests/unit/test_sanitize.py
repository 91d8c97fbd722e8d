"""Safe HTML: what must not be in it, and that it shows the same words."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from selectolax.lexbor import LexborHTMLParser

from tests.unit.corpus import Case, inner_text_cases
from tests.unit.markup import markup, unhurried, walked_text
from worker.transform.safe_html.safestyle import safe_style
from worker.transform.safe_html.sanitize import escaped, safe_html
from worker.transform.text.innertext import inner_text

ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<img src=https://tracker.example/p.gif alt=logo>",
    "<img srcset='https://tracker.example/p.gif 2x'>",
    "<p onclick=alert(1) ONMOUSEOVER=alert(1)>x</p>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href=' java\nscript:alert(1)'>x</a>",
    "<a href='&#106;avascript:alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<a href='vbscript:x'>x</a>",
    "<a href='/relative'>x</a>",
    "<a href='//other.example'>x</a>",
    "<iframe src=https://x.example></iframe>",
    "<object data=x></object><embed src=x>",
    "<svg onload=alert(1)><script>alert(1)</script></svg>",
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<form action=https://x.example><input name=a><button formaction='javascript:alert(1)'>x</button></form>",
    "<base href=https://x.example><meta http-equiv=refresh content='0;url=https://x.example'>",
    "<link rel=stylesheet href=https://x.example/x.css>",
    "<style>@import 'https://x.example/x.css'; p{background:url(https://x.example/p.gif)}</style>",
    "<p style='background:url(https://x.example/p.gif)'>x</p>",
    "<p style='BACKGROUND-IMAGE:URL(x)'>x</p>",
    "<p style='background:\\75rl(https://x.example)'>x</p>",
    "<p style='background:u/**/rl(x);background:image-set(\"x\" 1x)'>x</p>",
    "<p style='position:fixed;top:0;left:0;z-index:9;width:100%'>x</p>",
    "<p style='margin-left:-500px;text-indent:-9999px;transform:scale(9)'>x</p>",
    "<p style='width:expression(alert(1));behavior:url(x);-moz-binding:url(x)'>x</p>",
    "<table background=https://x.example/p.gif><tr><td background=x>x</table>",
    "<video poster=https://x.example/p.gif src=x></video><audio src=x autoplay>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
    "<template><script>alert(1)</script></template>",
    "<textarea></textarea><script>alert(1)</script>",
    "<style>*{background:url(x)}</style><p class=x id=y name=z>x</p>",
    "<!--><script>alert(1)</script>-->",
    "<a href=https://x.example target=_top ping=https://x.example rel=opener>x</a>",
]
ACTING_NAMES = """
    audio base button embed form iframe input link math meta object script select style svg template textarea video
"""
ACTING = frozenset(ACTING_NAMES.split())
# What fetches, and what the page around could style or address.
UNWANTED_NAMES = "action background class data formaction id ping poster src srcset xlink:href"
UNWANTED = frozenset(UNWANTED_NAMES.split())
UNWANTED_STYLE = re.compile(r"url|expression|import|\\|@|position:\s*(fixed|absolute)|:\s*-\d")
ALLOWED_LINK = re.compile(r"(?:https?|mailto|tel):", re.IGNORECASE)


def assert_harmless(html: str) -> None:
    """Look at the tree that a browser makes of it: no element that acts, no attribute that runs or fetches."""
    tree = LexborHTMLParser(html, is_fragment=True)
    for element in tree.css("*"):
        assert element.tag not in ACTING
        for name, value in element.attributes.items():
            assert not name.startswith("on")
            assert name not in UNWANTED
            assert name != "href" or ALLOWED_LINK.match(value or "")
            assert name != "style" or not UNWANTED_STYLE.search(value or "")


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_leaves_nothing_that_acts(attack: str) -> None:
    assert_harmless(safe_html(attack))
    assert_harmless(safe_html(f"<div>{attack}</div>"))


@unhurried
@given(markup)
def test_nothing_that_acts_is_left_of_any_string(body: str) -> None:
    assert_harmless(safe_html(body))


@pytest.mark.parametrize("body", [*ATTACKS, *(case.html for case in inner_text_cases())])
def test_what_is_safe_stays_as_it_is_when_read_again(body: str) -> None:
    once = safe_html(body)
    assert safe_html(once) == once


@pytest.mark.parametrize("case", inner_text_cases(), ids=lambda case: case.name)
def test_safe_html_shows_the_same_words(case: Case) -> None:
    assert inner_text(safe_html(case.html)) == case.text


@pytest.mark.parametrize(
    ("html", "safe"),
    [
        ("<p>a</p>", "<p>a</p>"),
        ("<img src='https://x.example/a.gif' alt='our logo' width=5>", '<img alt="our logo" width="5">'),
        (
            "<a href='https://x.example'>x</a>",
            '<a href="https://x.example" rel="noopener noreferrer nofollow">x</a>',
        ),
        ("<p style='COLOR: Red; Position: absolute'>x</p>", '<p style="color:red;float:left">x</p>'),
        ("<p style='position:relative'>x</p>", "<p>x</p>"),
        ("<p hidden>x</p>", '<p hidden="">x</p>'),
        ("<style>.x{display:none}</style><p class=x>y</p>", '<p style="display:none">y</p>'),
        ("<pre><!-- x -->\ny\rz&#13;</pre>", "<pre>\n\ny\nz&#13;</pre>"),
        ("<div style='display:-webkit-box'>x</div>", '<div style="display:block">x</div>'),
        (
            "<div style='display:grid'>x<output>y</output></div><output>z</output>",
            '<div style="display:grid">x<span>y</span></div>z',
        ),
        ("<o:p style='display:none'>x</o:p>", '<o:p style="display:none">x</o:p>'),
        ("<dialog open style='color:red'>x</dialog>", '<span style="display:block;float:left;color:red">x</span>'),
        ("<dialog open hidden>x</dialog>", '<span hidden="" style="display:none;float:left">x</span>'),
        (
            "dose <math><mn>1</mn></math> <button>x</button>",
            'dose 1 <span style="display:inline-block;text-transform:none">x</span>',
        ),
        ("", ""),
    ],
)
def test_what_is_kept(html: str, safe: str) -> None:
    assert safe_html(html) == safe


@pytest.mark.parametrize(
    "html",
    [
        "<style>.pre{display:none}</style><p>Hi</p><blink class=pre>x</blink>",
        "<style>*{visibility:hidden}</style><x>x</x>",
        "<style>w\\:sdt{display:none} .x{display:block}</style>a<w:sdt class=x>b</w:sdt>c",
        "<xÉ style='display:none'>x</xÉ>y",
        "<p>a<x\u212a hidden>x",
        "<t e='>' style='display:none'>x",
        "<style>display</style><x e='>' hidden>b",
        "<y< hidden>x",
        "<p\x0b hidden>x",
        "<span\xa0 style='display:none'>x</span\xa0>y",
        "<dialog style='display:revert'>x</dialog>y",
        "<p>put on <mask> and go</p><p>x",
        "<p>a <line>b <text>c <set>d <mi>e",
    ],
)
def test_safe_html_hides_and_shows_what_the_body_does(html: str) -> None:
    assert walked_text(safe_html(html)) == walked_text(html)


LARGE = [
    *(f"padding:{length}" for length in ("900px", "100pt", "9in", "3em", "9pc", "10mm", "9cqw", "1lh", "99vh", "99%")),
    *(f"padding-top:{length}" for length in ("+900px", "0 9in", "09in", "100", "1e3px", "25%")),
    *(f"border:{width} solid red" for width in ("900px", "9in", "3rem")),
    "border-width:1px 100px",
    "border-left:3em solid rgb(1,2,3)",
    *(f"font-size:{size}" for size in ("900px", "9in", "900%", "9em", "3.5em", "9vw", "100")),
    *(f"font:{size} serif" for size in ("900px", "9in", "bold 3em", "9vh/2")),
    *(f"line-height:{height}" for height in ("0", "+0", ".9", "0.99", "1px", "20px", "1.2em", "90%", "150%", "0 px")),
    *(f"font:9px/{height} serif" for height in ("0", "1px", "20px", "99%", " .5")),
    "font:9in/1px",
    "width:101%",
    "margin:0 200%",
    "margin-top:-9px",
    "text-indent:-9999px",
]


@pytest.mark.parametrize("style", LARGE)
def test_what_would_be_drawn_over_its_surroundings_goes(style: str) -> None:
    assert safe_style(style) is None


@pytest.mark.parametrize(
    "style",
    [
        *("padding:99px", "padding:0 1.5em", "padding:.75em 19.5%", "padding-left:0.5in"),
        *("border:1px solid rgb(255,255,255)", "border:1px solid #999999", "border-width:thin 2px"),
        *("font-size:99px", "font-size:2.5em", "font-size:150%", "font-size:larger"),
        *("font:bold 12px arial", "font:700 11.5pt/1.2 arial,sans-serif", "font:16px/normal arial"),
        *("line-height:1", "line-height:1.15", "line-height:normal", "line-height:inherit"),
        *("width:100%", "width:600px", "margin:0 auto", "margin-left:40px", "text-indent:2em"),
    ],
)
def test_what_letters_are_styled_with_stays(style: str) -> None:
    assert safe_style(style) == style


@unhurried
@given(markup)
def test_escaped_text_reads_as_itself(body: str) -> None:
    text = inner_text(body).replace("\r", "")
    assert inner_text(escaped(text)) == text
