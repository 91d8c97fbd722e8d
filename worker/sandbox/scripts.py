"""How conversations of the made-up clinic go. Material only: nothing here knows of FHIR, HTML or time.

A text is written down as its paragraphs, an empty line between them. Where its lines break here means
nothing; `¶` is a line end that is meant. `{…}` is filled in per thread, from `worker.sandbox.words.SLOTS` and
the names of the two people; `[[…]]` is bold where the letter is HTML; a paragraph that begins with a bullet
is an item of a list.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Side = Literal["patient", "practitioner"]
Text = tuple[str, ...]  # paragraphs


class Step(NamedTuple):
    """One message of a script: who writes it, and the texts it may have."""

    by: Side
    texts: tuple[Text, ...]


# How a kind of conversation goes, step by step; a thread stops after any of them.
Script = tuple[Step, ...]


def text(written: str) -> Text:
    """Return the paragraphs of a text as it is written down below."""
    paragraphs = written.strip().split("\n\n")
    return tuple(
        " ".join(line.lstrip() for line in paragraph.split("\n")).replace("¶", "\n") for paragraph in paragraphs
    )


def step(by: Side, *written: str) -> Step:
    """Return a step from the texts it may have."""
    return Step(by, tuple(map(text, written)))


REFILL: Script = (
    step(
        "patient",
        """
        Hello {title},

        I am down to my last <5 tablets of {medicine} and the {pharmacy} says there are no refills left.
        Could you send a new prescription? I take it {often} & have not missed a dose since we last spoke.

        Thank you, {given}
        """,
        """
        Hi, I need a refill of {medicine} please. Same pharmacy as always ({pharmacy}).  I leave for two
        weeks on {day}, so if it could be ready before then that would be a great help. My readings at home
        were all {reading}, so it seems to be working.
        """,
    ),
    step(
        "practitioner",
        """
        Dear {given},

        I have sent a [[90-day refill of {medicine}]] to the {pharmacy}. It should be ready from {day} after
        {time}. Please keep taking it {often}, with food, and do not double up if you miss a dose.

        Before the next refill we need a blood test and a short visit. You can book both at the front desk,
        or simply answer here with two or three times that suit you.

        Kind regards,

        {signature}
        """,
        """
        Hello {given}, the refill of {medicine} is on its way to the {pharmacy}. If they have not heard from
        us by {day}, tell us here and we will call them. Please let us know if your readings leave the range
        we agreed on ({reading}), or if you notice swelling, dizziness or a cough that does not go away.

        {signature}
        """,
    ),
    step(
        "patient",
        """
        Got it, picked it up this morning. Thanks!

        {given}
        """,
        """
        The {pharmacy} still has nothing for me. They say the insurance wants a prior authorization for
        {medicine}? I have enough for <3 days. What should I do?
        """,
    ),
    step(
        "practitioner",
        """
        Hi {given}, we called the {pharmacy} and the insurer: the authorization is approved & the
        prescription can be collected from {time} today. Sorry for the trouble.

        {signature}
        """,
    ),
)


RESULTS: Script = (
    step(
        "practitioner",
        """
        Dear {given},

        The results of your [[{test}]] are back. In short: nothing that worries me, and one value to keep an
        eye on.

        • {marker}: [[{value}]] (expected < {limit})

        • Kidney function: normal

        • Liver enzymes: normal

        Please go on with {medicine} {often} and repeat the test in three months. Drink enough, and come to
        the blood draw without breakfast: no food for at least 8 hours, water & black coffee are fine.

        With best wishes,

        {signature}
        """,
        """
        Hello {given}, your {test} from last week: {marker} {value}, which is a little above the {limit} we
        aim for, everything else in range. I would like to raise {medicine} slightly & see you again in
        about six weeks. Do you have any questions before we do that?

        {signature}
        """,
    ),
    step(
        "patient",
        """
        Thank you for explaining. Is {value} something I should worry about? My mother had > 200 for years
        and nobody said a word. Also: can I take {medicine} in the evening instead?
        """,
        """
        Thanks {title}, that is a relief.  I will book the repeat test for {day}.

        {given}
        """,
    ),
    step(
        "practitioner",
        """
        Hi {given},

        No need to worry. One value of {value} says little on its own; what counts is where it goes over the
        next months. And yes, {medicine} in the evening is fine, as long as it is at about the same time
        each day.

        {signature}
        """,
    ),
    step(
        "patient",
        """
        Perfect, will do. See you {day} at {time}.
        """,
    ),
)


APPOINTMENT: Script = (
    step(
        "patient",
        """
        Hi, could I move my appointment on {day} at {time}? My car is in the shop until Thursday. Any time
        after that works, mornings are best. If it is easier we can also do it by video — it is mostly about
        {complaint}, which is better but not gone.

        Thanks,¶{given} {family}
        """,
        """
        Hello, I have had {complaint} for >2 weeks now & it is not getting better. Is there anything free
        this week? I could come on {day}, any time before {time}.
        """,
    ),
    step(
        "practitioner",
        """
        Hello {given},

        We have kept [[{day} at {time}]] for you. Please bring your insurance card, a list of what you take
        at the moment, and your readings of the last two weeks.

        If {complaint} gets worse before then, or you have a fever over 101 °F, call us straight away on the
        number below; outside office hours the nurse line will answer.

        See you then,

        {signature}
        """,
    ),
    step(
        "patient",
        """
        That works, thank you!
        """,
        """
        Confirmed for {day}. Do I need to fast beforehand?
        """,
    ),
    step(
        "practitioner",
        """
        No need to fast this time, {given}. Just drink a glass of water before you come, it makes the blood
        draw easier. Parking is free for 2 hours behind the building.

        {signature}
        """,
    ),
    step(
        "patient",
        """
        I am here now, nobody is at the desk. Should I come straight in or wait?
        """,
        """
        Thanks, see you soon :-)
        """,
    ),
)


LETTER: Script = (
    step(
        "practitioner",
        """
        Dear {given} {family},

        It is time for your yearly check-up. At this visit we will go over your medicines, your vaccinations
        and the screening tests that are due at your age, and there will be time for whatever is on your
        mind.

        Please bring:

        • your insurance card & a photo ID

        • everything you take, including vitamins and what you buy without a prescription

        • your home readings, if you keep any

        You can choose a time in the patient app, or call us on [[555-0142]] from Monday to Friday, 8 am – 5
        pm.

        Sincerely,

        {signature}
        """,
        """
        To whom it may concern,

        {given} {family} has been under my care and was unable to work because of {complaint}. A return to
        full duty is possible from {day}, without restrictions. Lifting of more than 20 lb should be avoided
        for a further two weeks.

        Should you need more than this, please write to the address above; we can only give details with the
        patient’s written consent.

        {signature}
        """,
    ),
    step(
        "patient",
        """
        Received, thank you. Could you also send a copy to my employer’s HR office?

        {given}
        """,
    ),
)


QUESTION: Script = (
    step(
        "patient",
        """
        Quick question: since I started {medicine} I get {complaint}, mostly in the mornings. Is that
        normal? I also take ibuprofen 200 mg now and then (<3 per week). BP this morning {reading}.
        """,
        """
        Hi {title}, the label says to take {medicine} "with food" but the leaflet says on an empty stomach.
        Which is right? And is R&D Labs the same maker as before? The tablets look different.

        {given}
        """,
    ),
    step(
        "practitioner",
        """
        Hi {given}, thank you for asking rather than just stopping it. What you describe is common in the
        first two or three weeks of {medicine} and usually goes away. Please take it {often}, leave the
        ibuprofen out for now (acetaminophen is fine), and write again on {day} to tell me how it goes.

        If you feel faint, or your pressure is not {reading}, call us the same day.

        {signature}
        """,
    ),
    step(
        "patient",
        """
        Will do. {complaint} is already a bit better today.
        """,
        """
        OK thanks. Nothing since {day}.
        """,
    ),
    step(
        "patient",
        """
        Sorry, one more thing: is a glass of wine at dinner OK with {medicine}?
        """,
    ),
    step(
        "practitioner",
        """
        One glass is fine, {given}. Not on an empty stomach, though.

        {signature}
        """,
    ),
)

SCRIPTS: tuple[Script, ...] = (REFILL, RESULTS, APPOINTMENT, LETTER, QUESTION)

# What comes after the text proper; an empty one: nothing.
ENDINGS: dict[Side, tuple[Text, ...]] = {
    "patient": (
        (),
        text(
            """
            PS: I also uploaded a photo of the insurance card, front & back. The plan changed in January,
            the group number is new. Please tell me if it cannot be read, then I will bring the card along
            on {day}.
            """
        ),
        text(
            """
            One more thing, my phone number has changed. Please use the app, or call after {time}; I cannot
            answer at work. My sister still gets the old calls, so please take that number out of the chart.
            """
        ),
        text(
            """
            I have been keeping the diary you asked for: sleep 6–7 hours, walks of 30 min on most days,
            coffee <3 cups, no alcohol since {day}. Weight is about the same (±2 lb). Shall I go on with it?
            """
        ),
    ),
    "practitioner": (
        (),
        text(
            """
            This mailbox is read on working days between 8 am and 5 pm. In an emergency, with chest pain or
            trouble breathing, call 911 or go to the nearest emergency room; please do not wait for an
            answer here.
            """
        ),
        text(
            """
            Thistledown Family Practice · 12 Quill Lane, Larkmere · Phone 555-0142 · Fax 555-0143¶This
            message is meant for the person named above & may hold health information. If it reached you by
            mistake, tell us and delete it.
            """
        ),
    ),
}
