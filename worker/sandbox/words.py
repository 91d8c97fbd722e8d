"""Words to fill texts with, and made-up names. Material only."""

from __future__ import annotations

# Typed into a patient app and posted through the API as it is: no markup even where markup is expected.
BARE: tuple[str, ...] = (
    "I took <2 pills & felt ok",
    "BP <120/80 all week, pulse >60. Still ok to run?",
    "thx!! see u {day}",
    "Temp 99.8 & still coughing\n\nno rash\n  no headache",
    "is {medicine} safe w/ grapefruit? my neighbor says no & google says <1 glass",
    "pain is 3 -> 2 since {day}, so better.   slept 6h",
)

SLOTS: dict[str, tuple[str, ...]] = {
    "medicine": (
        "lisinopril 10 mg",
        "metformin 500 mg",
        "levothyroxine 75 µg",
        "atorvastatin 20 mg",
        "amlodipine 5 mg",
        "sertraline 50 mg",
        "amoxicillin/clavulanate 875–125",
        "insulin glargine 20 units",
    ),
    "often": ("once a day", "twice a day", "every evening", "every other day", "once a week"),
    "pharmacy": ("Corner Pharmacy", "Smith & Daughters Pharmacy", "Lakeside Drugs", "mail-order pharmacy"),
    "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "March 3rd", "the 14th"),
    "time": ("8:15", "9:30 am", "11 am", "2:45 pm", "16:00"),
    "reading": ("<120/80", "<130/85", "between 118/76 & 126/82", "< 140/90"),
    "test": ("lipid panel", "basic metabolic panel", "thyroid panel", "complete blood count"),
    "marker": ("LDL cholesterol", "HbA1c", "TSH", "Ferritin", "Vitamin D"),
    "value": ("131", "6.4 %", "4.9", "118 mg/dL", "29 ng/mL"),
    "limit": ("100", "6.0 %", "4.0", "100 mg/dL", "30"),
    "complaint": ("a dry cough", "the back pain", "a headache", "the knee", "an upset stomach", "the rash"),
}

GIVEN_NAMES: tuple[str, ...] = (
    "Ottoline", "Fenwick", "Marisole", "Quillon", "Åsmunda", "Tavish", "Isolde", "Perrin", "Zdeňka",
    "Lucasta", "D’Arvell", "Brónagh", "Hjalti", "Oriel", "Wendeline", "Anselmo", "Yevka", "Caspian",
    "Mirelle", "Tobiah",
)  # fmt: skip
FAMILY_BEGINNINGS: tuple[str, ...] = (
    "Bracken", "Thistle", "Harrow", "Quill", "Marrow", "Lark", "Fenn", "Cobble", "Wexel", "Hollin",
    "Müller", "Ostra",
)  # fmt: skip
FAMILY_ENDINGS: tuple[str, ...] = (
    "moor", "wick", "bridge", "field", "worth", "down", "stone", "combe", "mere", "garth",
)  # fmt: skip
