"""Which bodies may take long to read, and which part of a large body no reader sees: the data of `data:` URLs.

Parsers take time that grows with the square of some things: nesting, attributes of one tag, options, references, and
formatting elements left open, which are opened again in every paragraph (HTML standard §13.2.4.3). Nobody can tell by
counting characters how much of that a body has; only the parser knows. So nothing is refused here: a body that is small
takes at most 50 ms however it is written (`make bench`), and any other is read where its time and memory are bounded
(`worker.reader`).
"""

from __future__ import annotations

import hashlib
import re

SMALL_CHARACTERS = 8 * 1024
SMALL_TAGS = 100
SMALL_WITH_SHEET_CHARACTERS = 2 * 1024
SMALL_WITH_SHEET_PRODUCT = 20_000  # of characters and tags: each step of a selector is held against each tag
_SHEET = re.compile("<style", re.IGNORECASE)

# What a URL holds of a picture. Wherever it stands, no parser takes it for markup or white space; at most, in an untidy
# tag, for names of attributes that mean nothing. The end is not cut: with an `=` a value may begin there.
_DATA = re.compile(r"(data:[-a-z0-9.+/;=]{0,100},)[a-z0-9+/%._~-]{1000,}(?=[a-z0-9+/%._~-])", re.IGNORECASE)


def may_be_slow(html: str) -> bool:
    """Whether reading a body may take longer than 50 ms. Most that may do not."""
    tags = html.count("<")
    if len(html) > SMALL_CHARACTERS or tags > SMALL_TAGS:
        return True
    may_be_slow_with_sheet = len(html) > SMALL_WITH_SHEET_CHARACTERS or len(html) * tags > SMALL_WITH_SHEET_PRODUCT
    return may_be_slow_with_sheet and _SHEET.search(html) is not None


def without_data(html: str) -> tuple[str, str]:
    """Return a body with the data of its `data:` URLs cut, and the mark that is written for them.

    The mark is a number that is nowhere else in the body. If text or safe HTML of the cut body have it, a URL was among
    the words, and the body has to be read whole; otherwise they are those of the whole body.
    """
    mark = str(int.from_bytes(hashlib.sha256(html.encode(errors="surrogatepass")).digest()))
    return _DATA.sub(rf"\g<1>{mark}", html), mark
