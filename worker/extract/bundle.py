"""A searchset Bundle's bytes → a `Page` of raw entries (FHIR R4 §2.36 Bundle, §3.1.1 search). Pure.

The envelope is decoded first, and its entries are left raw, so that one bad entry cannot fail its page. The JSON
decoder still refuses a whole page if an entry is nested too deep for it, or has half a surrogate pair in a string. Then
the entries are cut out by their brackets and judged one by one (`worker.extract.entry`).
"""

from __future__ import annotations

import re

import msgspec

from worker.defects import guarded
from worker.errors import PageFailed
from worker.records import Page

# A JSON string, or a structural character. Escapes are skipped, not interpreted. The pattern is possessive, and an
# unfinished string at the end is one token, so that time and memory stay linear whatever a source sends.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)
# The largest unsignedInt of FHIR. A larger number is no count, and may not fit into the ledger.
_TOTALS_END = 2**31
_WHOLE = re.compile(r"\s*[0-9]{1,10}\s*", re.ASCII)
_NEXT_COLON = re.compile(rb"\s*:\s*\[")


class _Bundle(msgspec.Struct):
    resourceType: str = ""
    type: str | None = None
    total: object = None
    link: object = None
    entry: list[msgspec.Raw] | None = None


_DECODER = msgspec.json.Decoder(_Bundle)


def decode_page(body: bytes, url: str) -> Page:
    """Return the page in `body`, which was read from the absolute `url`.

    Raises PageFailed with reason `not_json`, `operation_outcome`, `not_a_bundle` or `bad_link`; never because of what
    is inside one entry, unless its brackets do not balance. Reason `defect`: our own code failed on this page.
    """
    return guarded(lambda: _decode_page(body, url), _fail)


def _fail() -> Page:
    raise PageFailed("defect", "Our own code failed on a page of one search.")


def _decode_page(body: bytes, url: str) -> Page:
    try:
        bundle, entries = _DECODER.decode(body), None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        bundle, entries = _decode_around_entries(body)
    if bundle.resourceType == "OperationOutcome":
        raise PageFailed("operation_outcome", "The source answered 200 with an OperationOutcome instead of a Bundle.")
    if bundle.resourceType != "Bundle" or bundle.type not in {"searchset", None}:
        raise PageFailed("not_a_bundle", "The source answered 200 with something that is not a searchset Bundle.")
    if entries is None:
        entries = tuple(bytes(raw) for raw in bundle.entry or ())
    return Page(url=url, total=_total(bundle.total), entries=entries, next_url=_next_url(bundle.link))


def _total(total: object) -> int | None:
    """Return `total` in any spelling of a number: 12, 12.0, "12". None if it is none, or no possible count."""
    number = int(total) if isinstance(total, str) and _WHOLE.fullmatch(total) else total
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 <= number < _TOTALS_END:
        return None
    return int(number) if number == int(number) else None


def _next_url(links: object) -> str | None:
    """Return where `next` leads. Other links, and things that are no link, are ignored."""
    listed = [] if links is None else links
    if not isinstance(listed, list):
        raise PageFailed("bad_link", "The source sent a page whose `link` is not a list.")
    urls = [link.get("url") for link in listed if isinstance(link, dict) and link.get("relation") == "next"]
    if not urls:
        return None
    first, *others = urls
    if not isinstance(first, str) or not first or any(other != first for other in others):
        raise PageFailed("bad_link", "The source sent a page whose `next` link is empty or ambiguous.")
    return first


def _decode_around_entries(body: bytes) -> tuple[_Bundle, tuple[bytes, ...]]:
    cut = _cut_entries(body)
    if cut is None:
        raise PageFailed("not_json", "The source answered 200 with a body that is not JSON, or not all of it.")
    start, end, entries = cut
    try:
        return _DECODER.decode(body[:start] + b"[]" + body[end:]), entries
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise PageFailed(
            "not_json", "The source answered 200 with a body that is not JSON, or not all of it."
        ) from None


def _cut_entries(body: bytes) -> tuple[int, int, tuple[bytes, ...]] | None:
    """Find the top-level `entry` array by its brackets: where it starts and ends, and the bytes of its elements."""
    depth, start, element = 0, -1, -1
    entries: list[bytes] = []
    for token in _TOKEN.finditer(body):
        text = token[0]
        if start < 0 and depth == 1 and text == b'"entry"':
            opening = _NEXT_COLON.match(body, token.end())
            if opening is not None:
                start, element = opening.end() - 1, opening.end()
        elif text in b"[{":
            depth += 1
        elif text in b"]}":
            depth -= 1
        if element < 0 or token.start() < element:
            continue
        if text == b"," and depth == 2:
            entries.append(body[element : token.start()].strip())
            element = token.end()
        elif text == b"]" and depth == 1:
            last = body[element : token.start()].strip()
            return start, token.end(), (*entries, last) if last or entries else ()
    return None
