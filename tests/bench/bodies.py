"""Made-up bodies to measure on: 415 characters each on average, 60 % HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.browser.letters import letter

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

MEAN_CHARACTERS = 415
HTML_SHARE = 0.6
DENSE = 0.07  # tags a character: with 415 characters about 36 tags a letter

_SENTENCES = (
    "Your results are back and look good.", "Please take two tablets in the morning, with food.",
    "I have had a headache since Tuesday, and some nausea.", "The nurse will call you about the next visit.",
    "BP was 128/82 at home, pulse 70.", "Could you send the refill to the same pharmacy?", "No fever, no rash.",
    "Naïve question: is it safe with O’Neil’s tea?", "We are closed on Monday.", "Thank you, see you next week!",
)  # fmt: skip


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


def dense_letter(random: Random) -> str:
    """Return a letter that is dense in tags: tables of results, lists, reminders, a `div` for each line."""
    while True:
        body = any_letter(random)
        if body.count("<") >= DENSE * len(body):
            return body


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
