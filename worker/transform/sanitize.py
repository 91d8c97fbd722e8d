"""HTML that is safe to embed in one's own page: nothing runs, nothing is fetched, nothing leaves its box.

By allow-list (nh3, that is ammonia over html5ever). Text stays what `inner_text` reads, so what is hidden
stays hidden: the `hidden` attribute and the style properties that text depends on are kept.
"""

from __future__ import annotations

import html as _html
import re
from dataclasses import replace

import nh3

from worker.transform.caps import within_caps
from worker.transform.css import Declaration, declarations
from worker.transform.fallback import text_without_structure
from worker.transform.parse import well_formed
from worker.transform.stylesheet import has_style_element, with_rules_inlined

_TAG_NAMES = """
    a abbr acronym address article aside b bdi bdo big blockquote br caption center cite code col
    colgroup data dd del details dfn dialog dir div dl dt em fieldset figcaption figure font footer h1
    h2 h3 h4 h5 h6 header hgroup hr i img ins kbd label legend li main mark menu nav nobr o:p ol p pre q
    rp rt rtc ruby s samp section small span strike strong sub summary sup table tbody td tfoot th thead
    time tr tt u ul var wbr
"""
_TAGS = frozenset(_TAG_NAMES.split())
# Gone with what is in them: what runs, what fetches, what a browser shows something else for, and what parses
# differently a second time (mutation).
_CLEAN_NAMES = """
    applet audio canvas datalist embed iframe math noembed noframes noscript object plaintext script
    select style svg template textarea title video xmp
"""
_CLEAN_CONTENT = frozenset(_CLEAN_NAMES.split())
_CELL = {"abbr", "align", "bgcolor", "colspan", "height", "nowrap", "rowspan", "scope", "valign", "width"}
_ATTRIBUTES = {
    "*": {"align", "dir", "hidden", "lang", "style", "title"},
    "a": {"href"},
    "col": {"span", "width"},
    "colgroup": {"span", "width"},
    "details": {"open"},
    "dialog": {"open"},
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
_PROPERTY_NAMES = """
    background background-color border border-bottom border-collapse border-color border-left
    border-right border-spacing border-style border-top border-width clear color display float font
    font-family font-size font-style font-variant font-weight line-height list-style list-style-type
    margin margin-bottom margin-left margin-right margin-top padding padding-bottom padding-left
    padding-right padding-top text-align text-decoration text-indent text-transform
    vertical-align visibility white-space width
"""
_PROPERTIES = frozenset(_PROPERTY_NAMES.split())
# Words, numbers, colours and font names; no other function and no escape, so no `url(` in any disguise.
_VALUE = re.compile(r"""(?:[-\w\s#.,%/'"+]|(?:rgb|hsl)a?\([\d\s.,%/]*\))+""")
_NEGATIVE = re.compile(r"-[\d.]")
# A browser's own style sheet would lay a dialog over the page.
_DIALOG_STYLE = "position:static"


def _filter_attribute(tag: str, attribute: str, value: str) -> str | None:
    if attribute != "style":
        return value
    return _DIALOG_STYLE if tag == "dialog" else _safe_style(value)


def _safe_style(style: str) -> str | None:
    """Return the allowed declarations of a `style` attribute, or None if there are none."""
    kept = (_in_its_box(declaration) for declaration in declarations(style) if _is_allowed(declaration))
    return ";".join(str(declaration) for declaration in kept) or None


def _is_allowed(declaration: Declaration) -> bool:
    value = declaration.value
    if declaration.name == "position":
        return value in {"absolute", "fixed"}
    if declaration.name not in _PROPERTIES or _NEGATIVE.search(value):
        return False
    return _VALUE.fullmatch(value) is not None


def _in_its_box(declaration: Declaration) -> Declaration:
    """Float what was positioned: out of the flow as before, but not over its surroundings."""
    if declaration.name == "position":
        return replace(declaration, name="float", value="left")
    return declaration


_CLEANER = nh3.Cleaner(
    tags=set(_TAGS),
    clean_content_tags=set(_CLEAN_CONTENT),
    attributes=_ATTRIBUTES,
    attribute_filter=_filter_attribute,
    strip_comments=True,
    link_rel="noopener noreferrer nofollow",
    url_schemes={"http", "https", "mailto", "tel"},
    url_relative="deny",
    set_tag_attribute_values={"dialog": {"style": _DIALOG_STYLE}},
)


def safe_html(html: str) -> str:
    """Return HTML that is safe to embed and shows the same words. Any string is taken, none raises.

    Of a body over the caps (`worker.transform.caps`) only the text is left, as `escaped`.
    """
    if not within_caps(html):
        return escaped(text_without_structure(html))
    if has_style_element(html):
        html = with_rules_inlined(html)
    return _CLEANER.clean(well_formed(html))


def escaped(text: str) -> str:
    """Return plain text as HTML that shows it with its white space kept."""
    return f'<div style="white-space:pre-wrap">{_html.escape(text, quote=False)}</div>'
