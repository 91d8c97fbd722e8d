"""HTML that is safe to embed in one's own page: nothing runs, nothing is fetched, nothing leaves its box.

By allow-list (nh3, that is ammonia over html5ever). Text stays what `inner_text` reads, so what is hidden
stays hidden: the `hidden` attribute and the style properties that text depends on are kept.
"""

from __future__ import annotations

import html as _html
import re

import nh3

from worker.transform.safe_html.safestyle import safe_style
from worker.transform.safe_html.standins import needs_stand_ins, put_stand_ins, tag_names
from worker.transform.text.fallback import text_without_structure
from worker.transform.text.parse import parse_to_write, well_formed
from worker.transform.text.stylesheet import has_rules_about_text, with_rules_inlined

_COMMON_NAMES = "p br b div span li td tr a strong i em u ul ol table tbody h2 h3 h1 th font sub sup hr blockquote"
_OTHER_NAMES = """
    abbr acronym address article aside bdi bdo big caption center cite code col colgroup data dd del details dfn dir
    dl dt fieldset figcaption figure footer h4 h5 h6 header hgroup img ins kbd label legend main mark menu nav nobr
    o:p q rp rt rtc ruby s samp section small strike summary tfoot thead time tt var wbr
"""
_NAMES = [*_COMMON_NAMES.split(), *_OTHER_NAMES.split()]
_TAGS = frozenset({*_NAMES, "pre"})
# A tag that safe HTML goes without, or a `<pre>`. The names are tried in their order.
_SPECIAL_TAG = re.compile(rf"<(?!/|(?:{'|'.join(_NAMES)})[ \t\n\r\f/>])[a-zA-Z]")
# Gone with what is in them: what runs, what fetches, what a browser shows something else for, and what parses
# differently a second time (mutation).
_CLEAN_NAMES = """
    audio canvas datalist embed iframe math noembed noframes noscript object plaintext script
    select style svg template textarea title video xmp
"""
_CLEAN_CONTENT = frozenset(_CLEAN_NAMES.split())
_CELL = {"abbr", "align", "bgcolor", "colspan", "height", "nowrap", "rowspan", "scope", "valign", "width"}
_ATTRIBUTES = {
    "*": {"align", "dir", "hidden", "lang", "style", "title"},
    "a": {"href", "rel"},
    "col": {"span", "width"},
    "colgroup": {"span", "width"},
    "details": {"open"},
    "font": {"color", "face", "size"},
    "hr": {"noshade", "size", "width"},
    "img": {"alt", "height", "width"},  # a src would tell a third party that the message was opened
    "li": {"type", "value"},
    "ol": {"reversed", "start", "type"},
    "table": {"bgcolor", "border", "cellpadding", "cellspacing", "width"},
    "td": _CELL,
    "th": _CELL,
    "time": {"datetime"},
    "tr": {"bgcolor", "valign"},
    "ul": {"type"},
}
# Sizes of more than three digits would leave the box.
_SIZES = frozenset({"border", "cellpadding", "cellspacing", "height", "size", "width"})
_SIZE = re.compile(r"\s*[-+]?\d{1,3}(?:\.\d*)?\s*(?:px|%)?\s*")
# A parser drops a line feed behind `<pre>`. One that the cleaner left is text, and is written twice for the next one.
_PRE_WITH_LINE_FEED = re.compile(r"(<pre[^<>]*>)(?=\n)")

# `https:path` has no host of its own: in a page of the same scheme it is relative (URL standard §4.4).
_ABSOLUTE = re.compile(r"[\x00-\x20]*(?:https?://|mailto:|tel:)", re.IGNORECASE)
_NOT_IN_A_URL = str.maketrans("", "", "\t\n\r")

# Where a tree may be written that a parser reads otherwise: elements that end each other by their start tags, and are
# nested all the same, because one that was between them is left out, or because it has no place in a table and goes
# before it.
_HOLD_OTHERS = frozenset(
    {"applet", "button", "foreignobject", "form", "listing", "marquee", "math", "object", "search"}
)
_HEADINGS = re.compile(r"<h[1-6][ >][^<]*(?:<(?!/?h[1-6][ >])[^<]*)*<h[1-6][ >]")
# In a list, an item is followed by another, or is the last. One that has no place in a table is followed by that.
_ITEM_OUTSIDE = re.compile(r"</(?:li|d[dt])>(?!\s*+<(?:(?:li|d[dt])[ >]|/(?:[uod]l|dir|menu)>))")
_MOST_PASSES = 5

# A parser ignores them in text (HTML standard §13.2.6.4.7), after it took a while to report each.
_NULS = re.compile("\x00{2,}")
_MANY_CHARACTERS = 1_000


def _filter_attribute(_tag: str, attribute: str, value: str) -> str | None:
    if attribute == "style":
        return safe_style(value)
    if attribute == "href":
        return value if _ABSOLUTE.match(value) or _ABSOLUTE.match(value.translate(_NOT_IN_A_URL)) else None
    if attribute in _SIZES and _SIZE.fullmatch(value) is None:
        return None
    return value


_CLEANER = nh3.Cleaner(
    tags=set(_TAGS),
    clean_content_tags=set(_CLEAN_CONTENT),
    attributes=_ATTRIBUTES,
    attribute_filter=_filter_attribute,
    strip_comments=True,
    link_rel=None,
    set_tag_attribute_values={"a": {"rel": "noopener noreferrer nofollow"}},
    url_schemes={"http", "https", "mailto", "tel"},
    url_relative="deny",
)


def safe_html(html: str) -> str:
    """Return HTML that is safe to embed and shows the same words. Any string is taken, none raises.

    How long that takes is not bounded (`worker.transform.slow`).
    """
    try:
        return _cleaned(html)
    except UnicodeEncodeError:
        return _cleaned(well_formed(html))


def _cleaned(html: str) -> str:
    names = tag_names(html) if _SPECIAL_TAG.search(html) else set()
    others = names - _TAGS
    if others:
        html = _without_loss(html, others)
    if len(html) > _MANY_CHARACTERS and "\x00" in html:
        html = _NULS.sub("\x00", html)
    safe = _clean(html)
    if safe == html or not (_HOLD_OTHERS & others or _may_be_read_otherwise(safe)):
        return safe
    for _ in range(_MOST_PASSES):
        again = _clean(safe)
        if again == safe:
            return safe
        safe = again
    return escaped(text_without_structure(html))


def _clean(html: str) -> str:
    """Return the cleaner's output, written so that parsing it again gives the same text."""
    if html.startswith("\ufeff"):
        html = "\ufeff" + html  # the cleaner takes the first for a mark of the encoding
    safe = _CLEANER.clean(html)
    if "<pre" in safe:
        safe = _PRE_WITH_LINE_FEED.sub(r"\1\n", safe)
    if "\r" in safe:
        safe = safe.replace("\r", "&#13;")  # which as a character would be a line feed to the next parser
    return safe


def _may_be_read_otherwise(safe: str) -> bool:
    """Whether a parser may make another tree of what the cleaner wrote than the one that it was written from."""
    return (
        (safe.count("<a ") > 1 and any("</a>" not in link for link in safe.split("<a ")[1:]))
        or safe.count("<nobr") > 1
        or (safe.count("<h") > 1 and _HEADINGS.search(safe) is not None)
        or ("<table" in safe and ("<ruby" in safe or _ITEM_OUTSIDE.search(safe) is not None))
    )


def _without_loss(html: str, others: set[str]) -> str:
    """Carry what the removed elements say about the text over to elements that stay."""
    if "style" in others and has_rules_about_text(html):
        html = with_rules_inlined(html)
    if not needs_stand_ins(html, others):
        return html
    tree = parse_to_write(html)
    put_stand_ins(tree, _TAGS)
    return tree.inner_html


def escaped(text: str) -> str:
    """Return plain text as HTML that shows it with its white space kept."""
    return f'<div style="white-space:pre-wrap">{_html.escape(text, quote=False)}</div>'
