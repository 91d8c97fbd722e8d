"""The bodies that hold a parser longest: as large as one that is read in process may be, larger, and very large."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.transform.slow import SMALL_CHARACTERS, SMALL_TAGS, SMALL_WITH_SHEET_CHARACTERS, may_be_slow

if TYPE_CHECKING:
    from collections.abc import Mapping

# What `inner_text` and `safe_html` of one message may take in process.
IN_PROCESS_MS = 50.0
_MEGABYTE = 1_000_000
# `details` sends a body to the walk.
_WALKED = "<details open><summary>s</summary>"


def _names(count: int) -> str:
    return " ".join(f"x{number}" for number in range(count))


def _fill(piece: str, characters: int) -> str:
    return piece * (characters // len(piece))


def worst(characters: int, tags: int) -> Mapping[str, str]:
    """Return bodies of at most so many characters and tags."""
    return {name: _cut(body, characters, tags) for name, body in _made(characters, tags).items()}


def _cut(body: str, characters: int, tags: int) -> str:
    """Return as much of a body as has so many characters and tags."""
    pieces = body[:characters].split("<", tags + 1)
    return "<".join(pieces[: tags + 1])


def _made(characters: int, tags: int) -> dict[str, str]:
    depth = tags
    return {
        "nested div": (_WALKED + "<div>" * (depth // 5) + "</div>" * (depth // 5)) * 2 + "<p>" * (tags // 6),
        "nested ul and li": _WALKED + "<ul><li>" * (depth // 4) + "x" + "<b>x</b>" * (tags // 3),
        "nested details": "<details open>" * (depth // 5) + "<p>x" * tags,
        "nested inline-block": "<span style='display:inline-block'>" * (depth // 5) + "<p>x" * tags,
        "nothing but inline-block": "<span style='display:inline-block'>" * depth,
        "nested flex": "<div style='display:flex'>x" * (depth // 5) + "<p>x" * tags,
        "nested table": _WALKED + "<table><tr><td>" * (depth // 20) + "<p>x" * tags,
        "nothing but div": "<div>" * tags,
        "rows": _WALKED + "<table>" + "<tr><td>x" * tags,
        "hidden cells": _WALKED + "<table>" + ("<tr><td>" + "<td hidden>" * 60) * (tags // 62),
        "foster-parented formatting": _WALKED + "<table>" + "x<b>" * tags,
        "nested table with formatting": "<table><b>" * tags,
        "reopened formatting": "<p>" + "".join(f"<b x{number}>" for number in range(tags // 13)) + "<p>x" * tags,
        "formatting that reopens": "<p>" + "".join(f"<b x{number}>" for number in range(tags // 2)) + "<p>x" * tags,
        "headings that close each other": _WALKED + "<h1>x" * tags,
        "ruby": _WALKED + "<ruby><rt>x" * tags,
        "options": "<select>" + "<option>x" * tags,
        "walked options": _WALKED + "<select>" + "<option>x" * tags,
        "items in items": "<div style=display:flex><p>x<i>x</i>" * (depth // 5),
        "misnested formatting": "<b><i>x<p>x</b>" * tags,
        "svg texts": "<svg>" + "<text>x" * tags,
        "links": _WALKED + f"<a href='http://{'x' * 40}'>x</a>" * tags,
        "attributes of one tag": _WALKED + f"<a {_names(characters)}>x",
        "attributes of every tag": _WALKED + f"<a {_names(characters // 100)}>x" * 40,
        "attributes behind a quoted >": f"<p t='>' {_names(characters)}>x",
        "attributes behind a raw text": f"<style><a t='</style><p {_names(characters)}>x",
        "attributes of an end tag": f"</a {_names(characters)}>x",
        "references": "&" * characters,
        "references among words": _fill("dose &a ", characters),
        "no-break spaces": _fill("&nbsp;", characters),
        "selectors": "<style>" + "a," * (characters // 3) + "a{display:none}</style>x",
        "rules": "<style>" + _fill("*{display:block}", characters - 50) + "</style>x",
        "rules and classes": (
            "<style>"
            + "".join(f".a{number}{{display:none}}" for number in range(characters // 30))
            + "</style>"
            + f"<p class='{' '.join(f'a{number}' for number in range(characters // 30))}'>x" * 4
        ),
        "rules and tags": (
            "<style>"
            + "".join(f".a{number}{{display:none}}" for number in range(characters // 50))
            + "</style>"
            + "<p class='b c'>x" * tags
        ),
        "class names": "<style>.a{display:none}</style>" + f"<p class='{_fill('b ', characters - 50)}'>x",
        "declarations of one tag": f"<p style='{_fill('display:none;', characters - 20)}'>x",
        "declarations": f"<p style='{'display:block;' * 3}'>x" * tags,
        "unclosed comments in a style": f"<p style='{_fill('/*', characters - 20)}'>x",
        "unclosed functions in a style": f"<p style='color:{_fill('rgb(', characters - 30)}'>x",
        "ideographs and line feeds": _WALKED + _fill("漢\n", characters),
        "zero width spaces and line feeds": _WALKED + _fill("\u200b\n", characters),
        "capitalised words": f"<p style='text-transform:capitalize'>{_fill('ab ', characters)}",
        "pre-line": f"<p style='white-space:pre-line'>{_fill('a ' + chr(10), characters)}",
        "plain words": "<p>" + _fill("take two tablets ", characters),
        "hidden parts": "<p hidden>x" * tags,
        "hidden in hidden": "x<i class=a hidden>x<span hidden>" * (depth // 10),
        "upper case in upper case": "<div style='text-transform:uppercase'>x" * (depth // 5),
        "lines that are blocks": "<i class=a style='display:block'>x</i>" * tags,
        "blocks in one run": "<span style='display:block'>" * (depth // 5) + "x",
        "preformatted in preformatted": "<pre> x" * (depth // 5) + _fill(" x", characters),
        "preformatted lines": "<pre> x </pre>" * tags,
        "pictures between lines": "<p style='white-space:pre-line'>x" + "<img>" * tags,
        "closed details": "<details><summary>x</summary>x</details>" * tags,
        "unlike names": "".join(f"<x{number}>a</x{number}>" for number in range(tags)),
        "regions over many tags": "<s style='display:block'>" * 14 + "x" + "<s1></s1>" * tags,
        "regions over many tags, under rules": (
            "<style>s{display:block}</style>" + ("<s>" * 20 + "x") * (tags // 110) + "<s1></s1>" * tags
        ),
        "names in names": f"<p{' a' * (characters // 4 - 5)}{'=b' * (characters // 4 - 5)}>x",
        "regions in one run": f"<style>x{{display:block}}</style>{'<x>' * (depth // 5)}{'a<br>' * tags}",
        "empty regions in one run": f"<style>x{{display:none}}</style>{'<x></x>' * (tags // 9)}{'a<br>' * tags}",
        "regions in some runs": f"{('<x style=display:block>' * (tags // 35) + 'a') * 6}{'a<br>' * tags}",
        "raw text with starts of styles": f"<xmp>{{{'<style></x>' * (tags // 2)}{'x' * characters}",
        "raw text with starts of comments": f"<noembed><!---->{'<script></x>' * (tags // 2)}{'x' * characters}",
        "scripts within a script": f"<script><!--<script></script>{'<!-- </x>' * (tags // 2)}{'x' * characters}",
        "unlike runs": "".join(f"<p class=a{number}>x</p>" for number in range(tags)),
        "NUL": "<p>" + "\x00" * characters,
        "NUL and letters": "<p>" + _fill("\x00a", characters),
        "lone surrogates": "<p>" + "\ud800" * characters,
    }


_CELL = (
    "<td width=64 valign=top style='width:48.0pt;border:solid windowtext 1.0pt;mso-border-alt:solid windowtext .5pt;"
    "padding:0in 5.4pt 0in 5.4pt'><p class=MsoNormal style='margin-bottom:.0001pt;line-height:normal'><span "
    "style='font-size:11.0pt;font-family:\"Calibri\",sans-serif'>5.4<o:p></o:p></span></p></td>"
)
# What ordinary letters grow to. They have to be read whole.
LETTERS = {
    "100 x 10 cells pasted from Word": f"<table>{('<tr>' + _CELL * 10 + '</tr>') * 100}</table>",
    "a picture of 5 MB": f'<p>Look:</p><img src="data:image/png;base64,{"iVBORw0KGgo+/" * 400_000}"><p>Thanks',
    "a picture of 5 MB, in lines": f'<img src="data:image/png;base64,{("iVBORw0K" * 9 + chr(10)) * 70_000}"><p>x',
    "1 MB, 50,000 tags": "<p>Take <b>two</b> tablets in the morning, and call us<br>" * 16_000,
    "words that count as attributes": '<p title="><p>'
    + "a letter's words, many of them alike, " * 2_000
    + '</p>"x"<p>y',
}
IN_PROCESS = {
    **{name: body for name, body in worst(SMALL_CHARACTERS, SMALL_TAGS).items() if not may_be_slow(body)},
    **{
        f"{name}, small": body
        for name, body in worst(SMALL_WITH_SHEET_CHARACTERS, SMALL_TAGS).items()
        if not may_be_slow(body)
    },
    "steps of a selector": "<style>" + "* " * 320 + "*{float:left}</style>" + "<b>" * 24 + "x",
}
IN_THE_CHILD = {
    **LETTERS,
    **worst(256 * 1024, 2_500),
    "100,000 nested elements": "<div>" * 100_000 + "x",
    "1 MB of attributes": "<a " + " ".join(f"x{number}=1" for number in range(110_000)) + ">x",
    "1 MB of unclosed comments": _fill("<!--", _MEGABYTE) + "x",
    "1 MB of scripts": _fill("<script>x</script>", _MEGABYTE) + "x",
    "1 MB of <": _fill("<", _MEGABYTE),
    "1 MB of references": _fill("&amp;", _MEGABYTE),
    "10 MB of words": "<p>" + _fill("take two tablets ", 10 * _MEGABYTE),
    "10 MB of words and line feeds": "<p>" + _fill("a \n\t", 10 * _MEGABYTE),
    "10 MB of paragraphs": _fill("<p>take two tablets daily</p>\n", 10 * _MEGABYTE),
    "10 MB of cells": _fill("<tr><td>1</td><td>2</td></tr>", 10 * _MEGABYTE),
}
