r"""The fast way to a text: in most letters a tag means one character, or none.

The tree is written out as the HTML standard's fragment serialisation has it (§13.3): every element has its end tag,
and `<`, `>` and `&` in texts and attributes are references. So splitting gives texts and tags. Each tag becomes the
mark of what it does to the text, and marks become text by replacing characters:

| mark   | stands for                               | becomes                                       |
|--------|------------------------------------------|-----------------------------------------------|
| none   | inline tag; end of a cell, row, section  | nothing                                       |
| `\x01` | edge of a block                          | in a run of edges: one line feed              |
| `\x02` | edge of a `p`                            | in a run of edges: two line feeds             |
| `\x03` | `br`                                     | a line feed                                   |
| `\x04` | start of a table                         | edge of a block                               |
| `\x05` | start of a row                           | line feed, nothing in the table's first row   |
| `\x06` | start of a cell                          | tab, nothing in the row's first cell          |
| `\x07` | picture, input; both ends of a `q`       | nothing, but the spaces around it stay        |

Whatever does more than that, by its name or by an attribute, is for the walk (`worker.transform.text.innertext`).
Property tests hold the two against each other. Without this module every text is the same, and takes longer.
"""

from __future__ import annotations

import re

from turbohtml import unescape

from worker.transform.text.boxes import LINE_BREAK, kind_of
from worker.transform.text.css import TEXT_PROPERTIES, declarations
from worker.transform.text.style import ROOT, is_read
from worker.transform.text.whitespace import collapse

_BLOCK, _PARAGRAPH, _BREAK, _TABLE, _ROW, _CELL, _BOX = "\x01\x02\x03\x04\x05\x06\x07"
_NOT_FOR_MARKS = "\x01\x02\x03\x04\x05\x06\x07\f\u200b"  # marks that are in the text, and what the walk treats apart
_WALK = "<"
"""The mark of what is for the walk. No text has it: there it is `&lt;`."""

_TAG = re.compile("<([^>]*)>")
_NOT_TEXT = re.compile(r"<!--.*?-->|<(style|script|title)((?: [^<>]*)?)>(.*?)</\1>", re.DOTALL)
_NOT_TEXT_STARTS = ("<!--", "<style", "<script", "<title")
_MOST_PARTS_THAT_ARE_NO_TEXT = 20  # each may be without an end, which is looked for up to the end of the body
_PARTS = re.compile(r"/?([a-z][-a-z0-9:_.]*)((?: [^ \"=<>/]+=\"[^\"]*\")*)")
_ATTRIBUTE = re.compile(' ([^ "=<>/]+)="([^"]*)"')
_MOST_REMEMBERED, _MOST_CHARACTERS = 4096, 200
_MARKS_BY_DISPLAY = {
    "table": _TABLE,
    "table-row": _ROW,
    "table-cell": _CELL,
    "table-header-group": "",
    "table-row-group": "",
    "table-footer-group": "",
    "inline": "",
    "block": _BLOCK,
    "list-item": _BLOCK,
}
_FOR_THE_WALK = frozenset({"form"})  # which is not shown in a table
_BOXES = frozenset({"img", "input", "q"})
_NOT_SEEN = frozenset({"base", "link", "meta", "wbr"})


def fast_text(canonical: str) -> str | None:
    """Return the text of a body that is written as the standard has it, or None for the walk."""
    if any(map(canonical.__contains__, _NOT_FOR_MARKS)):
        return None
    if any(map(canonical.__contains__, _NOT_TEXT_STARTS)):
        if sum(map(canonical.count, _NOT_TEXT_STARTS)) > _MOST_PARTS_THAT_ARE_NO_TEXT:
            return None
        canonical = _NOT_TEXT.sub(_cut, canonical)
        if canonical.count("<") != canonical.count(">"):
            return None  # a name with a `<` in it looked like one of them
    pieces = _TAG.split(canonical)
    pieces[1::2] = map(_marks.__getitem__, pieces[1::2])
    text = "".join(pieces)
    if _WALK in text:
        return None
    text = _laid_out(collapse(text))
    return unescape(text) if "&" in text else text


def _cut(part: re.Match[str]) -> str:
    """Return what is written for a comment, `<style>` or `<script>`: nothing.

    One that may be shown itself, by a style of its own, is for the walk. So is a script with a `<!--`, which may go on
    behind its `</script>` (HTML standard §13.2.5.26 "Script data double escape start state"), and one with a `<style`,
    which in a drawing is an element.
    """
    attributes, code = part[2] or "", part[3] or ""
    return "<!>" if " style=" in attributes or "<!--" in code or "<style" in code else ""


def _laid_out(text: str) -> str:
    """Turn marks into what they become, without the spaces that do not show: HTML standard §3.2.7, CSS Text 3 §4.1."""
    if _BREAK in text:
        text = _without_spaces_around(_BREAK, text)
    if _TABLE in text:
        for mark in (_TABLE, _ROW, _CELL):
            text = _without_spaces_around(mark, text)
        text = text.replace(_ROW + _CELL, _ROW).replace(_TABLE + _ROW, _BLOCK).replace(_TABLE, _BLOCK)
    text = _without_spaces_around(_PARAGRAPH, _without_spaces_around(_BLOCK, text)).strip(" ")
    paragraphs = [_in_lines(part) for part in text.split(_PARAGRAPH)]
    text = "\n\n".join(filter(None, paragraphs))
    for mark, written in _WRITTEN:
        text = text.replace(mark, written)
    return text


_WRITTEN = ((_BREAK, "\n"), (_ROW, "\n"), (_CELL, "\t"), (_BOX, ""))


def _in_lines(text: str) -> str:
    """Return what is between two edges of paragraphs. A box that shows no text does not part a run of edges."""
    if _BLOCK not in text and _BOX not in text:
        return text
    return "\n".join([line for line in text.split(_BLOCK) if line.strip(_BOX)])


def _without_spaces_around(mark: str, text: str) -> str:
    return text.replace(" " + mark, mark).replace(mark + " ", mark)


class _Marks(dict[str, str]):
    """Marks by tag, as it stands between its `<` and `>`. So many are remembered at most, and no long one."""

    def __missing__(self, tag: str) -> str:
        """Find out the mark of a tag."""
        mark = _mark_of(tag)
        if len(tag) <= _MOST_CHARACTERS:
            if len(self) >= _MOST_REMEMBERED:
                self.clear()
            self[tag] = mark
        return mark


_marks = _Marks()


def _mark_of(tag: str) -> str:
    parts = _PARTS.fullmatch(tag)
    if parts is None:
        return _WALK
    name, attributes = parts.groups()
    if not all(_says_nothing(name, attribute, value) for attribute, value in _ATTRIBUTE.findall(attributes)):
        return _WALK
    mark = _mark_by_name(name)
    if not tag.startswith("/"):
        return mark
    return {_TABLE: _BLOCK, _ROW: "", _CELL: ""}.get(mark, mark)


def _says_nothing(name: str, attribute: str, value: str) -> bool:
    """Whether text does not depend on an attribute of an element."""
    if attribute != "style":
        return not is_read(name, attribute)
    return all(one.name not in TEXT_PROPERTIES for one in declarations(unescape(value)))


def _mark_by_name(name: str) -> str:
    if name in _FOR_THE_WALK:
        return _WALK
    kind = kind_of(name, {}, ROOT)
    if kind.role == LINE_BREAK:
        return _BREAK
    if name in _BOXES:
        return _BOX
    if name in _NOT_SEEN:
        return ""
    if kind.role or kind.style.white_space != "normal":
        return _WALK
    if kind.line_breaks == 2:
        return _PARAGRAPH
    return _MARKS_BY_DISPLAY.get(kind.style.display, _WALK)
