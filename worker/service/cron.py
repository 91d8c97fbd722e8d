"""Decides when the sync is due: by a cron expression in UTC, or at an hour of the clinic's days. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Protocol

from apscheduler.triggers.cron import CronTrigger

from worker.errors import SettingsError

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

NIGHT = time(3, 30)
NIGHT_UTC = "0 2 * * *"

# In the order of crontab(5): Sunday is 0, and 7 as well. APScheduler begins with Monday, but knows the names.
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_DAY = rf"[0-7]|{'|'.join(_DAYS)}"
# APScheduler knows `last` as well, and the digits of every script.
_MONTH = r"[0-9]{1,2}|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_FIELDS = {name: _MONTH if name == "month" else "[0-9]{1,2}" for name in ("minute", "hour", "day", "month")}
# Every schedule that can be due at all is due some time after this.
_SOME_TIME = datetime(2000, 1, 1, tzinfo=UTC)
_DAYS_OF_WEEK = re.compile(rf"(?:(?P<all>\*)|(?P<first>{_DAY})(?:-(?P<last>{_DAY}))?)(?:/(?P<step>[1-7]))?")


class Schedule(Protocol):
    """The instants at which a sync is due."""

    def after(self, instant: datetime) -> datetime:
        """Return the first of them later than `instant`. Both are aware, the returned one in UTC."""
        ...


@dataclass(frozen=True, slots=True)
class Cron:
    """The instants of a cron expression, in UTC."""

    trigger: CronTrigger

    def after(self, instant: datetime) -> datetime:
        """Return the first instant later than `instant`."""
        due: datetime = self.trigger.get_next_fire_time(None, instant.astimezone(UTC) + timedelta(microseconds=1))
        return due


@dataclass(frozen=True, slots=True)
class Daily:
    """One instant of each local date: the hour `at` of `zone`.

    If clocks skip the hour, it is taken with the offset from before the change. If it comes twice, the first one counts
    (PEP 495, `fold` 0).
    """

    at: time
    zone: ZoneInfo

    def after(self, instant: datetime) -> datetime:
        """Return the first instant later than `instant`."""
        day = instant.astimezone(self.zone).date() - timedelta(days=1)
        while True:
            due = datetime.combine(day, self.at, self.zone).astimezone(UTC)
            if due > instant:
                return due
            day += timedelta(days=1)


def schedule_of(nightly: str | None, zone: ZoneInfo | None) -> Schedule:
    """Return when the sync is due: by `MIRROR_NIGHTLY`, else at 03:30 of the clinic's zone, else at 02:00 UTC.

    `zone` is None if none was set. Raises SettingsError, as `trigger`.
    """
    if nightly is None and zone is not None:
        return Daily(NIGHT, zone)
    return Cron(trigger("MIRROR_NIGHTLY", nightly or NIGHT_UTC))


def due(schedule: Schedule, now: datetime, last_begun: datetime) -> datetime | None:
    """Return since when a sync is due: the first instant after `last_begun` that is not later than `now`; else None.

    However many nights were missed, one sync makes up for all of them, since each mirrors everything.
    """
    first = schedule.after(last_begun)
    return first if first <= now else None


def trigger(variable: str, cron: str) -> CronTrigger:
    """Return the trigger of a cron expression, in UTC: a local zone would fire twice when clocks go back.

    Raises SettingsError naming `variable` in three cases: crontab(5) does not know the expression; none of its months
    has the day; or it names a day of the month and a day of the week, which for cron means either and for APScheduler
    both.
    """
    try:
        found = _trigger(cron)
    except ValueError:
        raise SettingsError(
            f"{variable} is not a cron expression of five fields, with a day of the month or of the week but not both.",
            next=f"For example: {variable}='0 2 * * *'.",
        ) from None
    if found.get_next_fire_time(None, _SOME_TIME) is None:
        raise SettingsError(
            f"{variable} is never due: none of its months has such a day.", next=f"For example: {variable}='0 2 * * *'."
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
