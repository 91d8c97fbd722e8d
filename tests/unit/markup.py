"""Strategies for markup: fragments that mean something to a parser, in any order."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from worker.transform.text.innertext import text_of
from worker.transform.text.tree import tree_by_lexbor

# A busy machine must not fail a test.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

PIECES = [
    "<p>", "</p>", "<div>", "</div>", "<b>", "</b>", "<br>", "<table>", "<tr>", "<td>", "</table>", "<ul>", "<li>",
    "</ul>", "<pre>", "</pre>", "<span style='display:none'>", "<span style='visibility:hidden'>", "</span>",
    "<i style='float:left'>", "<p hidden>", "<img src=x onerror=alert(1)>", "<a href='javascript:alert(1)'>",
    "<script>", "</script>", "<style>.x{display:none}", "</style>", "<select><option>", "<svg>", "<text>",
    "<math><mi>", "<details>", "<summary>", "<!--", "-->", "<![CDATA[", "]]>", "<", ">", "&", "&amp;", "&#0;",
    "&#xD800;", "&nbsp;", "<textarea>", "<template>", "<p class=x id=y>", " ", "\n", "\t", "a", "word", "\u200b", "漢",
    "\xa0", "\x00", "😀", "\ud800", "'", '"', "=", "/",
]  # fmt: skip

markup = st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=40).map("".join))


def walked_text(html: str) -> str:
    """Return what `inner_text` does, without any short cut: lexbor parses, and the walk reads."""
    return text_of(tree_by_lexbor(html))
