"""A cron expression as a trigger of APScheduler, which reads weekdays otherwise than cron does. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from apscheduler.triggers.cron import CronTrigger

from worker.errors import SettingsError

# In the order of crontab(5): Sunday is 0, and 7 as well. APScheduler begins with Monday, but knows the names.
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_DAY = rf"[0-7]|{'|'.join(_DAYS)}"
# APScheduler knows `last` as well, and the digits of every script.
_MONTH = r"[0-9]{1,2}|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_FIELDS = {name: _MONTH if name == "month" else "[0-9]{1,2}" for name in ("minute", "hour", "day", "month")}
# Whatever can be due is due some time after this.
_SOME_TIME = datetime(2000, 1, 1, tzinfo=UTC)
_DAYS_OF_WEEK = re.compile(rf"(?:(?P<all>\*)|(?P<first>{_DAY})(?:-(?P<last>{_DAY}))?)(?:/(?P<step>[1-7]))?")


def trigger(variable: str, cron: str) -> CronTrigger:
    """Return the trigger of a cron expression, in UTC: a local zone would fire twice when clocks go back.

    Raises SettingsError naming `variable` for what crontab(5) does not know, for a day that no month has which
    is named, and for a day of the month together with a day of the week, which cron takes as one or the other and
    APScheduler as both.
    """
    try:
        found = _trigger(cron)
    except ValueError:
        raise SettingsError(
            f"{variable} is not a cron expression of five fields, with a day of the month or of the week but not both.",
            next=f"Set {variable}='0 2 * * *', say.",
        ) from None
    if found.get_next_fire_time(None, _SOME_TIME) is None:
        raise SettingsError(
            f"{variable} is never due: none of its months has such a day.", next=f"Set {variable}='0 2 * * *', say."
        )
    return found


def _trigger(cron: str) -> CronTrigger:
    minute, hour, day, month, weekday = cron.split()
    if "*" not in {day, weekday}:
        raise ValueError("a day of the month and a day of the week")
    for (name, number), field in zip(_FIELDS.items(), (minute, hour, day, month), strict=True):
        item = rf"(?:\*|(?:{number})(?:-(?:{number}))?)(?:/[0-9]{{1,2}})?"
        if not re.fullmatch(rf"{item}(?:,{item})*", field, re.IGNORECASE | re.ASCII):
            raise ValueError(f"no {name} of crontab(5)")
    return CronTrigger(
        minute=minute, hour=hour, day=day, month=month, day_of_week=days_of_week(weekday), timezone="UTC"
    )


def days_of_week(field: str) -> str:
    """Return cron's fifth field with every day by its name: `1-5` is `mon,tue,wed,thu,fri`. Raises ValueError."""
    if field == "*":
        return field
    return ",".join(day for item in field.lower().split(",") for day in _named(item))


def _named(item: str) -> list[str]:
    match = _DAYS_OF_WEEK.fullmatch(item)
    if match is None:
        raise ValueError(f"{item} is no day of the week")
    if match["all"]:
        first, last = 0, 6
    else:
        first = _number(match["first"])
        last = _number(match["last"] or match["first"])
    if last < first:
        last += 7
    return [_DAYS[number % 7] for number in range(first, last + 1, int(match["step"] or 1))]


def _number(day: str) -> int:
    return int(day) if day.isdigit() else _DAYS.index(day)
