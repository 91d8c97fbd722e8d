"""Newly written letters of a clinic: the shapes in which mail programs and portals write them, made-up words.

The same for the same seed. The markup is what such programs produce, mistakes included; it is put together
here from parts, so that no two letters are alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.browser.desk import ITEMS, PATIENTS, SENDERS, TESTS, Desk

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter's markup, and the shape it has."""

    shape: str
    html: str


def _simple(desk: Desk) -> str:
    parts = [desk.greeting(), *(desk.sentences() for _ in range(desk.random.randint(1, 3))), desk.signature()]
    return desk.lines(*(f"<p>{part}</p>" for part in parts))


def _bare(desk: Desk) -> str:
    return desk.random.choice(("{}", "{}\n", "  {}  ", "{}<br>", "\n{}")).format(desk.sentences(1, 3))


def _breaks(desk: Desk) -> str:
    line = desk.pick(("<br>", "<br/>", "<br />\n", "<BR>\n"))
    return (line * 2).join((desk.greeting(), desk.sentences(), desk.sentences(), desk.signature())) + desk.pick(
        ("", line)
    )


def _divs(desk: Desk) -> str:
    """Write as web mail does: a div per line, an empty line as a div with a br."""
    parts = [
        desk.greeting(),
        "<br>",
        desk.sentences(),
        "<br>",
        f"<span>{desk.sentences()}</span>",
        "<br>",
        desk.signature(),
    ]
    return '<div dir="ltr">' + desk.lines(*(f"<div>{part}</div>" for part in parts)) + "</div>"


def _list(desk: Desk) -> str:
    tag = desk.pick(("ul", "ol", "ol type=a", "ul style='margin:0'"))
    end = desk.pick(("</li>", "</li>\n", ""))
    entries = [desk.pick(ITEMS) for _ in range(desk.random.randint(1, 5))]
    if desk.random.random() < 0.3:
        entries.append(desk.pick(ITEMS) + f"<ul><li>{desk.pick(ITEMS)}</li></ul>")
    listed = desk.between.join(f"<li>{desk.pick(('{}', '<p>{}</p>', ' {} ')).format(entry)}{end}" for entry in entries)
    return desk.lines(
        f"<p>{desk.greeting()} please bring:</p>", f"<{tag}>{desk.between}{listed}</{tag.split()[0]}>", desk.signature()
    )


def _results(desk: Desk) -> str:
    """Write a table of results, the way editors write tables."""
    chosen = desk.random.sample(TESTS, desk.random.randint(1, len(TESTS)))
    rows = [f"<tr>{desk.between.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in chosen]
    body = desk.between.join(rows)
    head = desk.pick(
        ("", "<thead><tr><th>Test</th><th>Result</th><th>Range</th></tr></thead>", "<caption>Labs</caption>")
    )
    table = f'<table border="1" cellpadding="4">{desk.between}{head}{desk.between}<tbody>{body}</tbody></table>'
    return desk.lines(f"<p>{desk.greeting()}</p>", table, f"<p>{desk.sentences()}</p>", f"<p>{desk.signature()}</p>")


def _layout(desk: Desk) -> str:
    """Write mail of a newsletter tool: tables as layout, hidden preheader, pictures, a button that is a link."""
    preheader = f'<div style="display:none;max-height:0;overflow:hidden">{desk.sentences(1, 1)}&#847;&zwnj;&nbsp;</div>'
    logo = '<img src="https://clinic.example/logo.png" alt="Clinic logo" width=120>'
    button = '<a href="https://clinic.example/book" style="display:inline-block;padding:12px;color:#fff">Book now</a>'
    cells = (f"<td>{logo}</td>", f'<td align="center"><h2>{desk.pick(SENDERS)}</h2></td>')
    inner = f'<table width="600" align="center" role=presentation><tr>{desk.between.join(cells)}</tr></table>'
    text = f"<tr><td style='padding:8px'>{desk.greeting()}<br><br>{desk.sentences()}</td></tr>"
    foot = f"<tr><td><small>{desk.sentences(1, 1)}</small></td></tr>"
    rows = desk.lines(f"<tr><td>{inner}</td></tr>", text, f"<tr><td>{button}</td></tr>", foot)
    return preheader + desk.between + f'<table width="100%"><tbody>{rows}</tbody></table>'


def _outlook(desk: Desk) -> str:
    """Write as Word does through Outlook: MsoNormal, o:p, conditional comments, a style sheet."""
    sheet = (
        "<!--[if gte mso 9]><xml><o:OfficeDocumentSettings></o:OfficeDocumentSettings></xml><![endif]-->"
        "<style><!--\np.MsoNormal, li.MsoNormal {margin:0in;font-size:11.0pt;}\n@page Section1 {size:8.5in 11in}\n-->"
        "</style>"
    )
    parts = (desk.greeting(), "&nbsp;", desk.sentences(), "&nbsp;", desk.signature())
    font = 'font-size:11.0pt;font-family:"Calibri",sans-serif;color:#1F497D'
    spans = (f"<p class=MsoNormal><span style='{font}'>{part}<o:p></o:p></span></p>" for part in parts)
    bullet = (
        "<p class=MsoListParagraph style='text-indent:-.25in;mso-list:l0 level1 lfo1'><![if !supportLists]>"
        "<span style='font-family:Symbol'><span style='mso-list:Ignore'>·<span style='font:7.0pt \"Times New Roman\"'>"
        f"&nbsp;&nbsp;&nbsp; </span></span></span><![endif]>{desk.pick(ITEMS)}<o:p></o:p></p>"
    )
    return sheet + f"<div class=WordSection1>{desk.lines(*spans, bullet)}</div>"


def _document(desk: Desk) -> str:
    """Write a whole document where a fragment belongs."""
    return (
        "<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8><title>Message</title>"
        "<style>body{font:14px Arial} .preheader{display:none} p{margin:0}</style></head>\n"
        f"<body bgcolor=white><span class=preheader>{desk.sentences(1, 1)}</span>{desk.between}"
        f"<p>{desk.greeting()}</p>{desk.between}<p>{desk.sentences()}</p>{desk.signature()}\n</body></html>\n"
    )


def _quoted(desk: Desk) -> str:
    """Write an answer above what it answers."""
    old = desk.pick(("<p>{}</p>", "<div>{}</div>", "{}<br>")).format(desk.sentences())
    web_mail = f'<blockquote style="margin:0 0 0 .8ex;border-left:1px #ccc solid;padding-left:1ex">{old}</blockquote>'
    quote = desk.random.choice(
        (
            f'<div class="gmail_quote"><div dir="ltr">On Mon, {desk.pick(PATIENTS)} wrote:<br></div>{web_mail}</div>',
            f"<hr><b>From:</b> {desk.pick(PATIENTS)}<br><b>Sent:</b> Monday<br><b>Subject:</b> Re: refill<br><br>{old}",
            f"<blockquote type=cite>{old}<blockquote>{old}</blockquote></blockquote>",
            f"<details><summary>Earlier messages</summary>{old}</details>",
        )
    )
    return desk.lines(f"<p>{desk.sentences()}</p>", f"<p>{desk.signature()}</p>", quote)


def _reminder(desk: Desk) -> str:
    rows = (("When", "Tue, 3 Mar, 9:30"), ("Where", "Room&nbsp;4,<br>2nd floor"), ("With", desk.pick(SENDERS)))
    terms = desk.between.join(f"<dt>{name}:</dt><dd>{what}</dd>" for name, what in rows)
    lines = "<br>\n".join(f"<strong>{name}:</strong> {what}" for name, what in rows)
    blocks = "".join(f"<tr><th align=left>{name}</th><td>{what}</td></tr>" for name, what in rows)
    shown = desk.random.choice((f"<dl>{terms}</dl>", f"<p>{lines}</p>", f"<table>{blocks}</table>"))
    return desk.lines(
        "<h3>Appointment reminder</h3>", shown, f"<p>{desk.sentences()}</p>", "<p>Reply <kbd>STOP</kbd> to end.</p>"
    )


def _hidden(desk: Desk) -> str:
    """Write a letter with parts that its reader did not see."""
    unseen = desk.pick(
        (
            '<p style="display:none">{}</p>',
            "<span hidden>{}</span>",
            "<div style='visibility:hidden'>{}</div>",
            "<style>.x1{{display:none}}</style><div class='x1 y'>{}</div>",
            "<!-- {} -->",
            "<template>{}</template>",
            "<script>var note = '{}'</script>",
            '<form style="display:none">{}</form>',
            "<div style='display: none !important; display: block'>{}</div>",
            "<w:sdt style='display:none'>{}</w:sdt>",
        )
    )
    return desk.lines(desk.greeting(), unseen.format(desk.sentences()), f"<p>{desk.sentences()}</p>", desk.signature())


def _malformed(desk: Desk) -> str:
    """Write with the mistakes that people and tools make."""
    text, more = desk.sentences(), desk.sentences()
    return desk.random.choice(
        (
            f"<p>{desk.greeting()}<p>{text}<p>{more}",
            f"<b>{desk.greeting()}<p>{text}</b>{more}</p>",
            f"<div><span>{text}</div>{more}</span></p>",
            f"<table><tr><td>{text}<tr><td>{more}</table>",
            f"<ul><li>{text}<li>{more}</ul></ul></div>",
            f"<p>{text}</p>{more} BP < 120 & pulse <60",
            f"<font color=red size=2>{text}<font face=Arial>{more}</font>",
            f"<a href=https://clinic.example/>{text}<a href=#>{more}</a>",
            f"<table>{text}<tr><td>{more}</td></tr></table>",
            f'<p style=color:red;>{text}</p ><p class="a"id=b>{more}</p>',
            f"<h2>{text}</h3><p>{more}</h2>",
            f"{text}<br></br>{more}</p>",
        )
    )


def _preformatted(desk: Desk) -> str:
    block = desk.random.choice(
        (
            "<pre>Dose   Time\n10 mg  08:00\n 5 mg  20:00\n</pre>",
            "<div style='white-space:pre-wrap'>Dose:  10 mg\n  with food\n</div>",
            '<p style="white-space: pre-line">Dose:   10 mg\n   with food</p>',
            "<pre>\n  <b>Schedule</b>\n\tMon\tWed</pre>",
        )
    )
    return desk.lines(f"<p>{desk.greeting()}</p>", block, desk.sentences())


def _portal(desk: Desk) -> str:
    """Write as a portal's own editor: styled spans, headings, controls that came along with a paste."""
    control = desk.pick(
        (
            "<button type=button>Reply</button>",
            "<input type=checkbox checked> done",
            "<label>Time <select><option>9:30<option>10:00</select></label>",
        )
    )
    title = desk.pick(("Lab results", "Your visit", "Refill"))
    heading = f'<h2 style="text-align:center;text-transform:uppercase">{title}</h2>'
    spans = f'<p><span style="font-size:14px"><span style="color:rgb(0, 0, 0)">{desk.greeting()}</span></span></p>'
    control = control if desk.random.random() < 0.15 else ""
    return desk.lines(
        heading, spans, f"<section><p>{desk.sentences()}{control}</p></section>", f"<footer>{desk.signature()}</footer>"
    )


_SHAPES: dict[str, Callable[[Desk], str]] = {
    "simple": _simple,
    "bare": _bare,
    "breaks": _breaks,
    "divs": _divs,
    "list": _list,
    "results": _results,
    "layout": _layout,
    "outlook": _outlook,
    "document": _document,
    "quoted": _quoted,
    "reminder": _reminder,
    "hidden": _hidden,
    "malformed": _malformed,
    "pre": _preformatted,
    "portal": _portal,
}


def letter(random: Random) -> Letter:
    """Return one newly written letter."""
    shape = random.choice(list(_SHAPES))
    return Letter(shape, _SHAPES[shape](Desk(random)))
