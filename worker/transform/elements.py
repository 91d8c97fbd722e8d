"""Names that make a `<…>` a tag: HTML standard §4 (elements), §16.2 (obsolete), and what Office writes."""

from __future__ import annotations

_CURRENT = """
    a abbr address area article aside audio b base bdi bdo blockquote body br button canvas caption cite
    code col colgroup data datalist dd del details dfn dialog div dl dt em embed fieldset figcaption figure
    footer form h1 h2 h3 h4 h5 h6 head header hgroup hr html i iframe img input ins kbd label legend li link
    main map mark math menu meta meter nav noscript object ol optgroup option output p picture pre progress
    q rp rt ruby s samp script search section select slot small source span strong style sub summary sup svg
    table tbody td template textarea tfoot th thead time title tr track u ul var video wbr
"""
_OBSOLETE = """
    acronym applet basefont bgsound big blink center dir font frame frameset image isindex keygen listing
    marquee menuitem multicol nextid nobr noembed noframes param plaintext rb rtc spacer strike tt xmp
"""
ELEMENTS = frozenset((_CURRENT + _OBSOLETE).split())

# HTML standard §13.3: no end tag is written.
_VOID_NAMES = """
    area base basefont bgsound br col embed frame hr img input keygen link meta param source track wbr
"""
VOID = frozenset(_VOID_NAMES.split())

# `<o:p>`, `<w:view>`, `<v:shape>`, `<m:r>`, `<x:str>`, `<st1:place>`: pasted from Outlook, Word and Excel.
OFFICE_PREFIXES = frozenset({"m", "o", "st1", "v", "w", "x"})
OFFICE_ISLAND = "xml"  # what they paste their settings in, which is no tag by itself

# Attributes that are written without a value (HTML standard, index of attributes), obsolete ones included.
_BARE_NAMES = """
    allowfullscreen async autofocus autoplay checked compact controls declare default defer disabled
    formnovalidate hidden inert ismap itemscope loop multiple muted nohref nomodule noresize noshade
    novalidate nowrap open playsinline readonly required reversed selected
"""
BARE_ATTRIBUTES = frozenset(_BARE_NAMES.split())
