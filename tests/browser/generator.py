"""Random markup: elements, styles, white space and mistakes in any order, the same for the same seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

_WORDS = (
    "Take", "10 mg", "daily", "BP 120/80", "Dr. Lee", "x", "a&lt;b", "&amp;", "&nbsp;", "&#160;&#160;", "&shy;",
    "&ensp;", "< 120", "3 > 2", "😀", "\U0001f469\u200d\u2695\ufe0f", "مرحبا", "שלום", "漢字",
    "かな", "한국어", "naïve", "&eacute;", "&copy 2024", "AT&T", "\u200b", "\u00ad", "&zwnj;", "co-pay",
    "https://clinic.example/a?b=1&c=2", "…", "&#8211;", "&#x2019;", "ß", "ǆ", "ﬁ", "O’Neil",
)  # fmt: skip
_SPACES = ("", " ", " ", "  ", "\n", "\n  ", "\t", " \n\n ", "\r\n", "   ")
_BLOCKS = (
    "div", "p", "h1", "h3", "blockquote", "section", "article", "header", "footer", "center", "address", "pre",
    "figure", "figcaption", "fieldset", "legend", "main", "nav", "form", "hgroup", "dir", "listing",
)  # fmt: skip
_INLINES = (
    "b", "i", "u", "em", "strong", "span", "span", "font", "a", "sub", "sup", "small", "code", "s", "mark", "q", "cite",
    "o:p", "label", "kbd", "abbr", "bdi", "bdo", "tt", "big", "strike", "time", "ins", "del", "var", "nobr",
    "custom-tag",
)  # fmt: skip
_VOIDS = (
    "<br>", "<br>", "<br/>", "<hr>", "<img alt=logo>", "<img>", "<input>", "<input type=hidden>", "<wbr>", "<!-- c -->",
    "<input type=checkbox checked>", "<![CDATA[c]]>", "<?xml c?>", "<br style='display:none'>", "<meta><link>",
    "</p>", "</br>",
)  # fmt: skip
_UNSEEN = (
    "<script>x</script>", "<style>.z{color:red}</style>", "<title>x</title>", "<template><p>x</p></template>",
    "<noscript><p>x</p></noscript>", "<noscript><div><b>x &lt; y</noscript>", "<textarea>x y</textarea>",
    "<iframe>x</iframe>", "<video>x</video>",
    "<datalist><option>x</datalist>", "<object data=x>x</object>", "<canvas>x</canvas>", "<progress>x</progress>",
    "<style>.gone{display:none} #loud{text-transform:uppercase}</style>", "<svg><title>x</title></svg>",
    "<style>@media print, screen{.a.b{display:none}} .gone,::bad{display:block}</style>",
    "<style>p.a{white-space-collapse:preserve} .b.a{text-transform:capitalize</style>",
)  # fmt: skip
_STYLES = (
    "display:none", "display:block", "display:inline", "display:inline-block", "display:flex", "display:grid",
    "display:table-cell", "display:contents", "display:list-item", "display:inline-flex", "visibility:hidden",
    "visibility:visible", "white-space:pre", "white-space:pre-wrap", "white-space:nowrap", "white-space:pre-line",
    "white-space:normal", "float:left", "position:absolute", "position:relative", "text-transform:uppercase",
    "text-transform:capitalize", "text-transform:none", "color:red", "font-size:0", "DISPLAY : NONE !important",
    "display:none;display:block", "display:bogus", "margin:0 0 8pt;mso-line-height-rule:exactly",
    "color:red;;visibility:hidden", "white-space-collapse:preserve", "white-space-collapse:collapse",
    "white-space:preserve nowrap", "display:-webkit-flex",
)  # fmt: skip
_ATTRIBUTES = (
    "", "", "", "", "", " class=MsoNormal align=right", " hidden", " class=gone", " id=loud",
    " class='b a'", " class=a", " dir=rtl", " title='a > b'", " class", " style", " style=''", ' data-x="<p>"',
)  # fmt: skip
# What tables and ruby get, and their parts: styles that make them something else make boxes around boxes.
_PLAIN_ATTRIBUTES = ("",) * 12 + (
    " hidden", " valign=top", " style='color:red'", " style='display:none'", " dir=rtl", " style='visibility:hidden'",
    " style='white-space:nowrap'", " class=gone", " style='text-transform:uppercase'",
)  # fmt: skip
_PLAIN = frozenset(
    {"table", "caption", "colgroup", "thead", "tbody", "tfoot", "tr", "td", "th", "ruby", "rb", "rt", "rp"}
)
_Piece = Callable[["_Writer", int], None]


class _Writer:
    def __init__(self, random: Random) -> None:
        self._random = random
        self.out: list[str] = []

    def _attributes(self) -> str:
        if self._random.random() < 0.3:
            return f' style="{self._random.choice(_STYLES)}"'
        return self._random.choice(_ATTRIBUTES)

    def _open(self, tag: str) -> None:
        attributes = self._random.choice(_PLAIN_ATTRIBUTES) if tag in _PLAIN else self._attributes()
        self.out.append(f"<{tag}{attributes}>")

    def _close(self, tag: str) -> None:
        """Close a tag, but sometimes not, and sometimes another one."""
        chance = self._random.random()
        if chance < 0.04:
            tag = self._random.choice(_BLOCKS + _INLINES)
        if chance > 0.05:
            self.out.append(f"</{tag}>")

    def space(self) -> None:
        self.out.append(self._random.choice(_SPACES))

    def pieces(self, depth: int) -> None:
        for _ in range(self._random.randint(0, 4)):
            self.space()
            self._random.choices(_PIECES, _WEIGHTS)[0](self, depth)
            self.space()

    def words(self, _depth: int) -> None:
        for _ in range(self._random.randint(1, 4)):
            self.out.append(self._random.choice(_WORDS))
            self.space()

    def void(self, _depth: int) -> None:
        self.out.append(self._random.choice(_VOIDS))

    def unseen(self, _depth: int) -> None:
        self.out.append(self._random.choice(_UNSEEN))

    def _element(self, tag: str, depth: int) -> None:
        self._open(tag)
        if depth > 0:
            self.pieces(depth - 1)
        self._close(tag)

    def block(self, depth: int) -> None:
        self._element(self._random.choice(_BLOCKS), depth)

    def inline(self, depth: int) -> None:
        self._element(self._random.choice(_INLINES), depth)

    def nested(self, outer: str, *inner: str, depth: int) -> None:
        """Write `outer` with up to three of `inner`, white space between them."""
        self._open(outer)
        for _ in range(self._random.randint(0, 3)):
            self.space()
            self._element(self._random.choice(inner), depth - 1)
        self.space()
        self._close(outer)

    def listing(self, depth: int) -> None:
        self.nested(self._random.choice(("ul", "ol", "menu")), "li", "li", "li", "div", depth=depth)

    def terms(self, depth: int) -> None:
        self.nested("dl", "dt", "dd", depth=depth)

    def disclosure(self, depth: int) -> None:
        self.nested(
            self._random.choice(("details", "details open", "dialog", "dialog open")), "summary", "p", depth=depth
        )

    def ruby(self, depth: int) -> None:
        self.nested("ruby", "rb", "rt", "rp", "span", depth=min(depth, 1))

    def choice(self, _depth: int) -> None:
        options = "".join(f"<option>{self._random.choice(_WORDS)}</option>" for _ in range(self._random.randint(0, 3)))
        self.out.append(f"<select{self._attributes()}>{options}</select>")

    def button(self, depth: int) -> None:
        self._element("button", min(depth, 1))

    def table(self, depth: int) -> None:
        self._open("table")
        parts = self._random.choice(
            ((), (), ("tbody",), ("thead", "tbody"), ("caption", "tbody", "tfoot"), ("colgroup",))
        )
        for part in parts or ("",):
            self.space()
            if part:
                self._open(part)
            self._rows(depth)
            if part:
                self._close(part)
        self.space()
        self._close("table")

    def _rows(self, depth: int) -> None:
        for _ in range(self._random.randint(0, 3)):
            self.nested("tr", "td", "td", "td", "th", depth=depth)
            self.space()


_WEIGHTED: dict[_Piece, int] = {
    _Writer.words: 40,
    _Writer.block: 22,
    _Writer.inline: 26,
    _Writer.void: 9,
    _Writer.listing: 6,
    _Writer.table: 6,
    _Writer.unseen: 4,
    _Writer.terms: 2,
    _Writer.disclosure: 2,
    _Writer.ruby: 1,
    _Writer.choice: 1,
    _Writer.button: 1,
}
_PIECES, _WEIGHTS = list(_WEIGHTED), list(_WEIGHTED.values())


def random_markup(random: Random) -> str:
    """Return one body of random markup, up to four elements deep before its mistakes."""
    writer = _Writer(random)
    writer.pieces(random.randint(1, 4))
    return "".join(writer.out)
