"""Text of a body over the caps: everything between the tags is kept, the structure dropped, in linear time.

Nothing is hidden here: no style and no `hidden` counts. Only comments, scripts and style sheets go.
"""

from __future__ import annotations

import html
import re

from worker.transform.parse import well_formed

_UNSEEN = re.compile(r"<!--|<(script|style)(?=[\s/>])[^<>]*>", re.IGNORECASE)
_END = {mark: re.compile(mark, re.IGNORECASE) for mark in ("-->", "</script", "</style")}
_BREAKING_TAG = re.compile(
    r"<(?=[a-zA-Z/])/?(?:address|article|aside|blockquote|br|caption|center|d[dlt]|dialog|div|fieldset|fig\w+|footer|form"
    r"|h[1-6r]|header|li|main|menu|nav|ol|option|p|pre|section|summary|table|tbody|tfoot|thead|tr|ul)(?=[\s/>])[^<>]*>",
    re.IGNORECASE,
)
_CELL_END = re.compile(r"</t[dh]\s*>", re.IGNORECASE)
_TAG = re.compile(r"<[/!?]?[a-z][^<>]*>", re.IGNORECASE)
_BREAK, _TAB = "\x00", "\x01"
_EDGE = " " + _TAB
_OVERLONG_REFERENCE = re.compile(r"&#(?:[0-9]{8,}|x[0-9a-f]{7,});?", re.IGNORECASE)


def text_without_structure(markup: str) -> str:
    """Return the text of any markup: tags cut out, references decoded, one line feed between blocks."""
    text = well_formed(markup).replace(_BREAK, "").replace(_TAB, "")
    text = _without_unseen(text).replace("\t", " ").replace("\r", " ").replace("\n", " ")
    while "  " in text:
        text = text.replace("  ", " ")
    text = _CELL_END.sub(_TAB, _BREAKING_TAG.sub(_BREAK, text))
    lines = (line.strip(_EDGE) for line in _TAG.sub("", text).split(_BREAK))
    text = "\n".join(line for line in lines if line).replace(_TAB, "\t")
    return html.unescape(_OVERLONG_REFERENCE.sub("\ufffd", text)) if "&" in text else text


def _without_unseen(markup: str) -> str:
    """Cut comments, scripts and style sheets. One that is never closed is kept: it may hold the message."""
    kept: list[str] = []
    at = 0
    unclosed: set[str] = set()
    for opening in _UNSEEN.finditer(markup):
        if opening.start() < at:
            continue
        end_mark = f"</{opening[1].lower()}" if opening[1] else "-->"
        if end_mark in unclosed:
            continue
        end = _find(markup, end_mark, opening.end())
        if end < 0:
            unclosed.add(end_mark)
            continue
        kept.append(markup[at : opening.start()])
        at = end
    kept.append(markup[at:])
    return "".join(kept)


def _find(markup: str, end_mark: str, start: int) -> int:
    """Return where the end mark and its `>` end, or -1."""
    found = _END[end_mark].search(markup, start)
    if found is None:
        return -1
    close = markup.find(">", found.end() - 1)
    return -1 if close < 0 else close + 1
