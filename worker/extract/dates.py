"""A resource's dates → instants (FHIR R4 §2.24.0.1 dateTime). Pure.

Servers write dates that FHIR does not allow. A date that clearly names one instant is read, and noted as odd. A date
that leaves its time zone open is not read, because a guess could move messages by hours.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

# FHIR's own forms: a time of day has seconds and an offset.
_FHIR = re.compile(
    r"\d{4}(?:-\d\d(?:-\d\d(?:T\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d))?)?)?",
    re.ASCII,
)
# The form that nearly all dates have: `datetime.fromisoformat` reads it, and reads it alike in every version of Python.
_USUAL = re.compile(
    r"\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?(?:Z|[+-][01]\d:[0-5]\d)", re.ASCII
)
# Also the forms of ISO 8601, RFC 3339 §5.6 and databases: no separators, no seconds, a comma, a blank or a
# small t before the time, a blank before the offset, an offset of hours only or by name.
_DATE = re.compile(
    r"""
    (?P<year>\d{4}) (?: -? (?P<month>\d\d) (?: -? (?P<day>\d\d)
    (?P<time>
        (?:T|[ ]) (?P<hour>\d\d) :? (?P<minute>\d\d) (?: :? (?P<second>\d\d) (?:[.,] (?P<fraction>\d+))? )?
        [ ]? (?: Z | UTC | GMT | (?P<sign>[+-]) (?P<hours>\d\d) (?: :? (?P<minutes>\d\d) )? )
    )? )? )?
    """,
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)
_DAY_H = 24
_OFFSET_MINUTES_END = 60


class Instant(NamedTuple):
    """What a date names: an instant in UTC, whether it has a time of day, whether its form is not FHIR's."""

    at: datetime
    has_time: bool
    odd: bool


@lru_cache(maxsize=4)  # each date is read for its column, and again for the content hash
def read_instant(text: str) -> Instant | None:
    """Return the instant that `text` names, None if it names none, or leaves its time zone open.

    A date without a time is its first instant in UTC. Digits after µs are cut off. A leap second and 24:00 become the
    following second.
    """
    if _USUAL.fullmatch(text):
        try:
            return Instant(datetime.fromisoformat(text).astimezone(UTC), has_time=True, odd=False)
        except (ValueError, OverflowError):
            return None
    is_fhir = _FHIR.fullmatch(text) is not None
    # An incomplete date must have FHIR's form: 202402 could be a month, or the 20th of some February.
    match = _DATE.fullmatch(text.strip())
    if match is None or not (is_fhir or match["time"]):
        return None
    try:
        at = _at(match)
    except (ValueError, OverflowError):
        return None
    return Instant(at, match["time"] is not None, not is_fhir or match["hour"] == str(_DAY_H))


def _at(match: re.Match[str]) -> datetime:
    year, month, day = (int(match[part] or 1) for part in ("year", "month", "day"))
    hour, minute, second = (int(match[part] or 0) for part in ("hour", "minute", "second"))
    micros = int((match["fraction"] or "")[:6].ljust(6, "0"))
    later = timedelta()
    if second == 60:
        second, later = 59, timedelta(seconds=1)
    if (hour, minute, second, micros) == (_DAY_H, 0, 0, 0):  # ISO 8601 §5.3.2: the end of the day
        hour, later = 0, timedelta(days=1)
    minutes = int(match["minutes"] or 0)
    if minutes >= _OFFSET_MINUTES_END:
        raise ValueError
    offset = timedelta(hours=int(match["hours"] or 0), minutes=minutes) * (-1 if match["sign"] == "-" else 1)
    if abs(offset) >= timedelta(hours=_DAY_H):
        raise ValueError
    return datetime(year, month, day, hour, minute, second, micros, tzinfo=UTC) - offset + later
