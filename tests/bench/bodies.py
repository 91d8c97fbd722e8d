"""Made-up bodies to measure on: 415 characters each on average, 60 % HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.browser.letters import letter

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

MEAN_CHARACTERS = 415
HTML_SHARE = 0.6

_SENTENCES = (
    "Your results are back and look good.", "Please take two tablets in the morning, with food.",
    "I have had a headache since Tuesday, and some nausea.", "The nurse will call you about the next visit.",
    "BP was 128/82 at home, pulse 70.", "Could you send the refill to the same pharmacy?", "No fever, no rash.",
    "Naïve question: is it safe with O’Neil’s tea?", "We are closed on Monday.", "Thank you, see you next week!",
)  # fmt: skip

_WORDS = {
    "name": ("Ann", "Zoë Núñez", "Mr. Okonkwo", "王 小明", "Mrs. O’Leary", "Jo &amp; Sam"),
    "sender": ("Nurse Kim", "Dr. Adeyemi", "Front Desk", "M. Østergård, PA-C"),
    "drug": ("metformin 500&nbsp;mg", "lisinopril 10 mg", "warfarin 2&frac12; mg"),
    "day": ("Tuesday", "3 Mar, 9:30", "Mon,&nbsp;14 Nov"),
}
# What editors, portals, Outlook and people's mistakes make of the plain things that a letter says.
_PARTS = (
    "<p>Hi {name},</p>",
    "<p>Please take <b>{drug}</b> with <i>food</i>.<br>Call us on {day}.</p>",
    "<div>Thank you,</div><div><br></div><div>{sender}</div>",
    "Your results are back.<br/><br/>{sender}<br/>",
    "<div dir=ltr><div>See you on {day}.</div><div><span>{sender}</span></div></div>",
    "<ul><li>insurance card</li><li>{drug}</li><li>glasses</li></ul>",
    "<ol>\n<li>stop {drug}\n<li>rest\n<li>call\n</ol>",
    "<ul><li>bring<ul><li>card</li><li>list</li></ul></li><li>come early</li></ul>",
    "<table border=1><tr><th>Test</th><th>Value</th></tr><tr><td>A1c</td><td>6.1&nbsp;%</td></tr></table>",
    "<table>\n  <tr>\n    <td>When</td>\n    <td>{day}</td>\n  </tr>\n</table>",
    "<table><caption>Vitals</caption><tbody><tr><td>BP<td>128/82<tr><td>Pulse<td>70</table>",
    "<dl><dt>With</dt><dd>{sender}</dd><dt>When</dt><dd>{day}</dd></dl>",
    "<h3>Reminder</h3><p>{day} with <strong>{sender}</strong></p><hr>",
    '<p>See <a href="https://clinic.example/labs?id=7">your labs</a> or <a href="tel:+15550100">call</a>.</p>',
    "<p>{name} wrote:</p><blockquote type=cite><p>When?</p><blockquote>Soon</blockquote></blockquote>",
    "<hr><b>From:</b> {sender}<br><b>Sent:</b> {day}<br><b>Subject:</b> Re: refill<br>",
    "<P>PULSE <B>70</B>, BP <U>128/82</U></P>",
    '<p><span style="font-size:14px"><span style="color:rgb(0, 0, 0)">{drug}</span></span></p>',
    "<p class=MsoNormal><span style='font-family:\"Calibri\"'>Hello {name}<o:p></o:p></span></p>",
    "<!--[if gte mso 9]><xml><o:Settings></o:Settings></xml><![endif]--><p class=MsoNormal>{day}<o:p></o:p></p>",
    "<html><head><meta charset=utf-8><title>Message</title></head><body><p>{name}</p></body></html>",
    "<p>a<sub>1c</sub> 10<sup>3</sup>/µL <del>old</del> <ins>new</ins> <q>ok</q> <mark>low</mark></p>",
    "<figure><img src=x.png alt=rash><figcaption>Left arm</figcaption></figure>",
    "<b>{name}<p>BP < 130 & pulse</b> fine</p>",
    "<div><span>{drug}</div>twice</span></p>",
    "<font color=red size=2>Stop <font face=Arial>{drug}</font></font>",
)  # fmt: skip
# What hides, keeps, draws, replaces or restyles something.
_ODD_PARTS = (
    "<style>p.MsoNormal {{margin:0in}} .gone {{display:none}}</style><p class=gone>Draft</p><p>{drug}</p>",
    '<div style="display:none;max-height:0">Preview of {day}</div>',
    "<p>Today<span hidden>, or later</span></p><!-- {sender} -->",
    '<h2 style="text-transform:uppercase">{day}</h2>',
    "<pre>Dose   Time\n10 mg  08:00</pre>",
    "<div style='white-space:pre-wrap'>{drug}\n  with food\n</div>",
    '<a href="https://clinic.example/book" style="display:inline-block;padding:9px">Book</a>',
    "<svg width=9 height=9><title>heart</title><path d='M0 0h9'/></svg> {sender}",
    "<details><summary>Earlier</summary><p>{drug}</p></details>",
    "<p>Tick: <input type=checkbox> done <textarea>notes</textarea></p>",
    "<p>Time <select><option>9:30<option>10:00</select></p>",
    '<div style="display:flex"><span>{day}</span><span>{sender}</span></div>',
    "<p>a <span style='visibility:hidden'>b</span> c</p>",
)  # fmt: skip
ODD_SHARE = 0.17  # of the letters: they have one such part


def plain(random: Random) -> str:
    """Return words in lines."""
    return "".join(random.choice(_SENTENCES) + random.choice(" \n") for _ in range(random.randrange(4, 20))).strip()


def note(random: Random) -> str:
    """Return simple HTML: some paragraphs, a list, a few words in bold."""
    parts = [f"<p>Hi {random.choice(('Ann', 'Åsa', 'Li Wei'))},</p>"]
    for _ in range(random.randrange(1, 6)):
        sentence = random.choice(_SENTENCES)
        kind = random.randrange(4)
        if kind == 0:
            parts.append(f"<ul><li>{sentence}</li><li>{random.choice(_SENTENCES)}</li></ul>")
        elif kind == 1:
            parts.append(f"<p><b>Important:</b> {sentence}</p>")
        else:
            parts.append(f"<p>{sentence}&nbsp;{random.choice(_SENTENCES)}<br>{random.choice(_SENTENCES)}</p>")
    return "".join([*parts, "<p>Dr. Lee &amp; team</p>"])


def letter_of_parts(random: Random) -> str:
    """Return a letter as mail programs pile it up: short parts of all shapes, dense in tags, seldom an odd one."""
    words = {name: random.choice(choices) for name, choices in _WORDS.items()}
    parts = [random.choice(_PARTS) for _ in range(random.randrange(3, 10))]
    if random.random() < ODD_SHARE:
        parts[random.randrange(len(parts))] = random.choice(_ODD_PARTS)
    return random.choice(("", "\n")).join(part.format_map(words) for part in parts)


def any_letter(random: Random) -> str:
    """Return a letter of any shape: tables, Outlook paste, quotes, hidden parts, malformed markup."""
    return letter(random).html


def mixture(html: Callable[[Random], str], random: Random, count: int) -> list[str]:
    """Return bodies in random order."""
    html_count = round(count * HTML_SHARE)
    bodies = _of_mean_length(html, random, html_count) + _of_mean_length(plain, random, count - html_count)
    random.shuffle(bodies)
    return bodies


def _of_mean_length(make: Callable[[Random], str], random: Random, count: int) -> list[str]:
    """Take a body only if it brings the mean length nearer to what it should be."""
    bodies: list[str] = []
    surplus = 0
    while len(bodies) < count:
        body = make(random)
        if (len(body) > MEAN_CHARACTERS) == (surplus < 0):
            bodies.append(body)
            surplus += len(body) - MEAN_CHARACTERS
    return bodies
