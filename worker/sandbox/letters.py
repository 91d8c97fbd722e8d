"""A text as plain text, or as HTML in the shapes that letter templates and editors leave behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

Paragraphs = Sequence[str]
Shape = Callable[[Paragraphs], str]

BULLET = "• "


def plain(paragraphs: Paragraphs, line_end: str = "\n") -> str:
    """Return the paragraphs as plain text, an empty line between them, nothing escaped."""
    text = "\n\n".join(paragraphs).replace("[[", "").replace("]]", "")
    return text if line_end == "\n" else text.replace("\n", line_end)


def html_of(paragraph: str) -> str:
    """Return one paragraph as HTML: escaped, `[[…]]` bold, line ends as `<br>`."""
    return escape(paragraph, quote=False).replace("[[", "<b>").replace("]]", "</b>").replace("\n", "<br>")


def paragraphs_letter(paragraphs: Paragraphs) -> str:
    """Write `<p>` for each paragraph and `<ul>` for bullets, as the letter template does."""
    return _blocks(paragraphs, "<p>", "</p>")


def lines_letter(paragraphs: Paragraphs) -> str:
    """Write no blocks at all, only `<br>`: what a plain text turned into HTML looks like."""
    return "<br><br>".join(map(html_of, paragraphs))


def editor_letter(paragraphs: Paragraphs) -> str:
    """Write a `<div>` for each paragraph and an empty one between them, as browsers' editors do."""
    return "<div><br></div>".join(f"<div>{html_of(paragraph)}</div>" for paragraph in paragraphs)


def office_letter(paragraphs: Paragraphs) -> str:
    """Write styles and no-break spaces, as pasted from an office program."""
    blocks = _blocks(paragraphs, '<p class="MsoNormal" style="margin:0in">', "</p><p>&nbsp;</p>\n")
    return f'<div style="font-family: Calibri, sans-serif; font-size: 11pt">\n{blocks}</div>'


def letterhead(paragraphs: Paragraphs) -> str:
    """Write a table with head and foot and an image in it, as the formal letter template does."""
    return (
        '<table width="600"><tbody>'
        '<tr><td><img src="https://clinic.example/logo.png" alt="Clinic"></td>'
        "<td><h2>Thistledown Family Practice</h2></td></tr>\n"
        f"<tr><td colspan=2>{_blocks(paragraphs, '<p>', '</p>')}</td></tr>\n"
        "<tr><td colspan=2><small>Please do not answer by e-mail &ndash; use the app.</small></td></tr>"
        "</tbody></table>"
    )


PATIENT_SHAPES: tuple[Shape, ...] = (paragraphs_letter, lines_letter)
SHAPES: tuple[Shape, ...] = (paragraphs_letter, paragraphs_letter, lines_letter, editor_letter, office_letter)
FORMAL_SHAPES: tuple[Shape, ...] = (letterhead, paragraphs_letter, office_letter)


def _blocks(paragraphs: Paragraphs, begin: str, end: str) -> str:
    """Wrap each paragraph in `begin` and `end`, and each run of bullets in one list."""
    blocks = "".join(
        f"<ul><li>{html_of(paragraph.removeprefix(BULLET))}</li></ul>"
        if paragraph.startswith(BULLET)
        else f"{begin}{html_of(paragraph)}{end}"
        for paragraph in paragraphs
    )
    return blocks.replace("</ul><ul>", "")
