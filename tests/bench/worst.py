"""The bodies that hold a parser longest, as large as the caps let them be, and some far over them."""

from __future__ import annotations

from worker.transform.caps import (
    MAX_AMPERSANDS,
    MAX_ATTRIBUTES,
    MAX_CHARACTERS,
    MAX_COLONS,
    MAX_DEPTH,
    MAX_OPTIONS,
    MAX_PARENTHESES,
    MAX_SELECTORS,
    MAX_TAGS,
    within_caps,
)

# What `inner_text` and `safe_html` of one message may take.
WITHIN_CAPS_MS = 50.0
# Over the caps only the text is read, in linear time: words at about 4 ms a megabyte, nothing but table cells at 120.
OVER_CAPS_MS_PER_MEGABYTE = 300.0
_MEGABYTE = 1_000_000


def at_most_ms(body: str) -> float:
    """Return how long a body may hold the worker."""
    return WITHIN_CAPS_MS if within_caps(body) else max(WITHIN_CAPS_MS, over_caps_ms(body))


def over_caps_ms(body: str) -> float:
    """Return the bound for a body of which only the text is read."""
    return OVER_CAPS_MS_PER_MEGABYTE * len(body) / _MEGABYTE


def _fill(piece: str, characters: int = MAX_CHARACTERS - 200) -> str:
    return piece * (characters // len(piece))


def _names(count: int) -> str:
    return " ".join(f"x{number}" for number in range(count))


# `details` sends a body to the walk.
_WALKED = "<details open><summary>s</summary>"

WORST = {
    "nested div": (_WALKED + "<div>" * (MAX_DEPTH - 10) + "</div>" * (MAX_DEPTH - 10)) * 2 + "<p>" * 400,
    "nested ul and li": _WALKED + "<ul><li>" * (MAX_DEPTH // 2 - 10) + "x" + "<b>x</b>" * 1_000,
    "nested details": "<details open>" * (MAX_DEPTH - 10) + "<p>x" * 1_950,
    "nested inline-block": "<span style='display:inline-block'>" * (MAX_DEPTH - 10) + "<p>x" * 1_950,
    "nested flex": "<div style='display:flex'>x" * (MAX_DEPTH - 10) + "<p>x" * 1_950,
    "nested table": _WALKED + "<table><tr><td>" * (MAX_DEPTH // 4 - 5) + "<p>x" * 1_950,
    "too deep": "<div>" * MAX_TAGS + "x",
    "rows": _WALKED + "<table>" + "<tr><td>x" * (MAX_TAGS // 2 - 10),
    "hidden cells": _WALKED + "<table>" + ("<tr><td>" + "<td hidden>" * 60) * (MAX_TAGS // 62 - 1),
    "foster-parented formatting": _WALKED + "<table>" + "x<b>" * (MAX_TAGS - 10),
    "nested table with formatting": "<table><b>" * (MAX_TAGS // 2),
    "reopened formatting": "<p>" + "".join(f"<b x{number}>" for number in range(15)) + "<p>x" * 180,
    "headings that close each other": _WALKED + "<h1>x" * (MAX_TAGS - 10),
    "ruby": _WALKED + "<ruby><rt>x" * (MAX_TAGS // 2 - 5),
    "options": "<select>" + "<option>x" * (MAX_OPTIONS - 1),
    "walked options": _WALKED + "<select>" + "<option>x" * (MAX_OPTIONS - 1),
    "items in items": "<div style=display:flex><p>x<i>x</i>" * (MAX_DEPTH // 2 - 10),
    "misnested formatting": "<b><i>x<p>x</b>" * (MAX_TAGS // 4 - 10),
    "svg texts": "<svg>" + "<text>x" * (MAX_TAGS - 1),
    "links": _WALKED + f"<a href='http://{'x' * 40}'>x</a>" * (MAX_TAGS // 2 - 10),
    "attributes of one tag": _WALKED + f"<a {_names(MAX_ATTRIBUTES - 1)}>x",
    "attributes of every tag": _WALKED + f"<a {_names(1_000)}>x" * 40,
    "attributes behind a quoted >": f"<p t='>' {_names(40_000)}>x",
    "attributes behind a quoted tag": f'<p t="<a \'>" {_names(30_000)}>x',
    "attributes behind a raw text": f"<style><a t='</style><p {_names(30_000)}>x",
    "attributes of an end tag": f"</a {_names(30_000)}>x",
    "references": _fill("&", MAX_AMPERSANDS) + "<p>" * 90,
    "references among words": _fill("dose &a ", MAX_AMPERSANDS * 8),
    "no-break spaces": _fill("&nbsp;", MAX_AMPERSANDS * 6),
    "selectors": "<style>" + "a," * (MAX_SELECTORS - 1) + "a{display:none}</style>x",
    "rules": "<style>" + "*{display:block}" * (MAX_SELECTORS - 1) + "</style>x",
    "rules and classes": (
        "<style>"
        + "".join(f".a{number}{{display:none}}" for number in range(MAX_SELECTORS))
        + "</style>"
        + f"<p class='{' '.join(f'a{number}' for number in range(MAX_SELECTORS))}'>x" * 4
    ),
    "rules and tags": (
        "<style>"
        + "".join(f".a{number}{{display:none}}" for number in range(180))
        + "</style>"
        + "<p class='b c'>x" * (MAX_TAGS - 100)
    ),
    "class names": "<style>.a{display:none}</style>" + f"<p class='{_fill('b ')}'>x",
    "declarations of one tag": f"<p style='{'display:none;' * (MAX_COLONS - 1)}'>x",
    "declarations": f"<p style='{'display:block;' * 3}'>x" * (MAX_TAGS - 1),
    "unclosed comments in a style": f"<p style='{'/*' * 120_000}'>x",
    "unclosed functions in a style": f"<p style='color:{'rgb(' * (MAX_PARENTHESES - 1)}'>x",
    "ideographs and line feeds": _WALKED + _fill("漢\n"),
    "zero width spaces and line feeds": _WALKED + _fill("\u200b\n"),
    "capitalised words": f"<p style='text-transform:capitalize'>{_fill('ab ')}",
    "pre-line": f"<p style='white-space:pre-line'>{_fill('a ' + chr(10))}",
    "plain words": _fill("take two tablets "),
    "hidden parts": "<p hidden>x" * (MAX_TAGS - 10),
    "hidden in hidden": "x<i class=a hidden>x<span hidden>" * (MAX_DEPTH // 2 - 5),
    "upper case in upper case": "<div style='text-transform:uppercase'>x" * (MAX_DEPTH - 10),
    "lines that are blocks": "<i class=a style='display:block'>x</i>" * (MAX_TAGS // 2 - 10),
    "blocks in one run": "<span style='display:block'>" * (MAX_DEPTH - 10) + "x",
    "preformatted in preformatted": f"{'<pre> x' * (MAX_DEPTH - 10)}{_fill(' x', MAX_CHARACTERS - 10_000)}",
    "preformatted lines": "<pre> x </pre>" * (MAX_TAGS // 2 - 10),
    "pictures between lines": "<p style='white-space:pre-line'>x" + "<img>" * (MAX_TAGS - 10),
    "closed details": "<details><summary>x</summary>x</details>" * (MAX_TAGS // 4 - 10),
    "unlike names": "".join(f"<x{number}>a</x{number}>" for number in range(MAX_TAGS // 2 - 10)),
    "regions over many tags": "<s style='display:block'>" * 14 + "x" + "<s1></s1>" * 1_130 + "y" + "</s>" * 14,
    "regions over many tags, under rules": (
        "<style>s{display:block}</style>" + ("<s>" * 20 + "x") * 22 + "<s1></s1>" * 800 + "y" + "</s>" * 440
    ),
    "names in names": f"<p{' a' * 1_200}{'=b' * 1_200}>x",
    "preformatted words": "<pre>" * 18 + "some words " * 500 + "</pre>" * 18,
    "regions in one run": f"<style>x{{display:block}}</style>{'<x>' * (MAX_DEPTH - 20)}{'a<br>' * 1_900}",
    "empty regions in one run": f"<style>x{{display:none}}</style>{'<x></x>' * 280}{'a<br>' * 1_500}",
    "regions in some runs": f"{('<x style=display:block>' * 70 + 'a') * 6}{'a<br>' * 1_900}",
    "raw text with starts of styles": f"<xmp>{{{'<style></x>' * 1_200}{'x' * 240_000}",
    "raw text with starts of comments": f"<noembed><!---->{'<script></x>' * 1_200}{'x' * 240_000}",
    "scripts within a script": f"<script><!--<script></script>{'<!-- </x>' * 1_200}{'x' * 230_000}",
    "unlike runs": "".join(f"<p class=a{number}>x</p>" for number in range(MAX_TAGS // 2 - 10)),
    "NUL": _fill("\x00"),
    "NUL and letters": _fill("\x00a"),
    "lone surrogates": _fill("\ud800"),
    "100,000 nested elements": "<div>" * 100_000 + "x",
    "1 MB of attributes": "<a " + " ".join(f"x{number}=1" for number in range(110_000)) + ">x",
    "1 MB of unclosed comments": _fill("<!--", _MEGABYTE) + "x",
    "1 MB of scripts": _fill("<script>x</script>", _MEGABYTE) + "x",
    "1 MB of <": _fill("<", _MEGABYTE),
    "1 MB of references": _fill("&amp;", _MEGABYTE),
    "10 MB of words": _fill("take two tablets ", 10 * _MEGABYTE),
    "10 MB of words and line feeds": _fill("a \n\t", 10 * _MEGABYTE),
    "10 MB of paragraphs": _fill("<p>take two tablets daily</p>\n", 10 * _MEGABYTE),
    "10 MB of cells": _fill("<tr><td>1</td><td>2</td></tr>", 10 * _MEGABYTE),
}
