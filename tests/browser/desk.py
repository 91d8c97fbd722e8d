"""The words of made-up letters, and who picks among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

PATIENTS = (
    "Ann",
    "Mr. Okonkwo",
    "Zoë Núñez",
    "Frau Weiß",
    "Siân",
    "王 小明",
    "أحمد",
    "Mrs. O’Leary",
    "D&#39;Arcy",
    "Jo &amp; Sam",
)
SENDERS = (
    "Dr. Adeyemi",
    "Nurse Kim",
    "Front Desk",
    "M. Østergård, PA-C",
    "Dr. Lee &lt;Cardiology&gt;",
    "Your Care Team",
)
_DRUGS = (
    "metformin 500&nbsp;mg",
    "lisinopril 10 mg",
    "vitamin&nbsp;D<sub>3</sub>",
    "warfarin 2&frac12; mg",
    "insulin &mdash; 12 units",
)
_SENTENCES = (
    "Your results are back and look fine.",
    "Please take {drug} twice a day,\n   with food.",
    "Stop {drug} <b>today</b> and call us if you feel dizzy.",
    "Your blood pressure was 128/82&nbsp;mmHg; the goal is &lt; 130/80.",
    "LDL &gt; 130 is above the range, A1c 6.1&thinsp;% is not.",
    "We moved your visit to <strong>Tuesday</strong>, <em>9:30&#8239;am</em>.",
    "See <a href=\"https://clinic.example/labs?id=7&amp;v=2\">your lab page</a> for details.",
    "Call <a href='tel:+15550100'>555-0100</a> or write to <a href=mailto:desk@clinic.example>desk@clinic.example</a>.",
    "Fasting is <u>not</u> needed , but drink  water.",
    "Side effects: nausea, headache&hellip; usually gone in 3&ndash;5 days.",
    "The co&shy;pay is $20 &#x2014; bring your card &#128179;.",
    "Bitte nüchtern kommen; vous pouvez boire de l&rsquo;eau.",
    "Take 1 tablet (½ if drowsy) every 8&nbsp;h, max.&nbsp;3/day.",
    "Temperature over 38.5&deg;C? Come in at once.",
)  # fmt: skip
ITEMS = (
    "insurance card",
    "list of all <i>medicines</i>",
    "{drug}",
    "a <b>urine</b> sample",
    "questions for us",
    "your glasses &amp; hearing aid",
)
TESTS = (
    ("A1c", "6.1&nbsp;%", "&lt; 5.7"),
    ("LDL", "131", "&lt;100"),
    ("TSH", "2.4", "0.4 &ndash; 4.0"),
    ("Hb", "", "12"),
)
_BREAKS = ("", "\n", "\n  ", "\r\n", "\n\n", " ")


class Desk:
    """Writes the parts of one letter."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.between = random.choice(_BREAKS)

    def pick(self, choices: tuple[str, ...]) -> str:
        return self.random.choice(choices).replace("{drug}", self.random.choice(_DRUGS))

    def sentences(self, least: int = 1, most: int = 4) -> str:
        return " ".join(self.pick(_SENTENCES) for _ in range(self.random.randint(least, most)))

    def lines(self, *parts: str) -> str:
        return self.between.join(parts)

    def greeting(self) -> str:
        return self.pick(("Hi", "Dear", "Hello", "Good morning")) + " " + self.pick(PATIENTS) + ","

    def signature(self) -> str:
        return self.pick(("Thanks,<br>", "Sincerely,<br/>\n", "Best,<BR>", "--<br>", "")) + self.pick(SENDERS)
