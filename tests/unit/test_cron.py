"""Schedules mean what crontab(5) says they mean, in UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from worker.errors import SettingsError
from worker.service.cron import Cron, Daily, days_of_week, due, schedule_of, trigger
from worker.service.schedule import Jumps

NOON_MONDAY = datetime(2024, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "due"),
    [
        ("0 2 * * *", ["Tue 2 Jan 02:00", "Wed 3 Jan 02:00"]),
        ("*/15 12 * * *", ["Mon 1 Jan 12:00", "Mon 1 Jan 12:15"]),
        ("30 1 * * 1-5", ["Tue 2 Jan 01:30", "Wed 3 Jan 01:30"]),
        ("0 2 * * 0", ["Sun 7 Jan 02:00", "Sun 14 Jan 02:00"]),
        ("0 2 * * 7", ["Sun 7 Jan 02:00", "Sun 14 Jan 02:00"]),
        ("0 2 * * SUN", ["Sun 7 Jan 02:00", "Sun 14 Jan 02:00"]),
        ("0 2 * * 6,0", ["Sat 6 Jan 02:00", "Sun 7 Jan 02:00"]),
        ("5-15/10 2 * jan,MAR-apr *", ["Tue 2 Jan 02:05", "Tue 2 Jan 02:15"]),
        ("0 2 29 2 *", ["Thu 29 Feb 02:00", "Tue 29 Feb 02:00"]),
        ("0 2 15 * *", ["Mon 15 Jan 02:00", "Thu 15 Feb 02:00"]),
    ],
)
def test_cron_is_read_as_cron_reads_it_in_utc(cron: str, due: list[str]) -> None:
    found = trigger("MIRROR_NIGHTLY", cron)
    first = found.get_next_fire_time(None, NOON_MONDAY)
    second = found.get_next_fire_time(first, first + timedelta(seconds=1))
    assert [f"{at:%a} {at.day} {at:%b %H:%M}" for at in (first, second)] == due
    assert first.utcoffset() == timedelta()


@pytest.mark.parametrize(
    ("field", "days"),
    [
        ("*", "*"),
        ("1-5", "mon,tue,wed,thu,fri"),
        ("fri-sun", "fri,sat,sun"),
        ("5-7", "fri,sat,sun"),
        ("sun-tue", "sun,mon,tue"),
        ("*/2", "sun,tue,thu,sat"),
        ("1-5/2,sat", "mon,wed,fri,sat"),
    ],
)
def test_days_of_the_week_count_from_sunday(field: str, days: str) -> None:
    assert days_of_week(field) == days


@pytest.mark.parametrize(
    "cron",
    [
        "",
        "0 2 * *",
        "0 2 * * * *",
        "60 2 * * *",
        "0 24 * * *",
        "0 2 0 * *",
        "0 2 * 13 *",
        "0 2 * * 8",
        "0 2 * * x",
        "0 2 1 * 1",
        "0 2 last * *",
        "0 2 1,last * *",
        "٠ 2 * * *",
        "0 ٢ * * *",
        "0 2 * ٣ *",
        "0 2 * ſep *",
        "0 2 31 2 *",
        "0 2 30,31 2 *",
        "0 2 31 4,6 *",
    ],
)
def test_what_is_no_cron_expression_is_refused_by_the_name_of_its_setting(cron: str) -> None:
    with pytest.raises(SettingsError, match="MIRROR_NIGHTLY"):
        trigger("MIRROR_NIGHTLY", cron)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "last_begun", "since"),
    [
        ("2024-01-02 02:00", "2024-01-01 02:00", "2024-01-02 02:00"),  # on time, to the second
        ("2024-01-02 01:59", "2024-01-01 02:00", None),
        ("2024-01-02 09:30", "2024-01-01 02:00:01", "2024-01-02 02:00"),  # the host slept
        ("2024-01-02 09:30", "2024-01-02 02:00", None),  # it began on time
        ("2024-01-02 09:30", "2024-01-02 08:00", None),  # it was begun by hand since
        ("2024-01-02 09:30", "2024-01-02 01:59:59.9", "2024-01-02 02:00"),  # by hand, before the hour
        ("2024-01-09 09:30", "2024-01-01 02:00", "2024-01-02 02:00"),  # a week was missed: due once, since the first
    ],
)
def test_what_is_due_is_what_no_sync_has_begun_since(now: str, last_begun: str, since: str | None) -> None:
    found = due(Cron(trigger("MIRROR_NIGHTLY", "0 2 * * *")), utc(now), utc(last_begun))
    assert found == (utc(since) if since else None)


# Zones whose clocks change at other hours than 03:30, within it, by half an hour, to the other side of the date line.
ZONES = ["UTC", "America/New_York", "America/Sao_Paulo", "Europe/Athens", "Australia/Lord_Howe", "Asia/Kathmandu"]


@pytest.mark.parametrize("zone", [*ZONES, "Africa/Casablanca", "America/Nuuk", "Pacific/Chatham", "Antarctica/Troll"])
def test_a_local_hour_comes_once_on_each_local_date_whatever_clocks_do(zone: str) -> None:
    """Over eleven years of changes both ways; by chains of instants, as `serve` goes from one to the next."""
    daily, at = Daily(time(3, 30), ZoneInfo(zone)), datetime(2018, 12, 31, 23, tzinfo=UTC)
    dates: list[date] = []
    while len(dates) < 4000:
        before, at = at, daily.after(at)
        assert before < at <= before + timedelta(hours=26)
        assert at.utcoffset() == timedelta()
        local = at.astimezone(ZoneInfo(zone))
        dates.append(local.date())
        # Where clocks skip 03:30 it is as late as they were put forward.
        assert (local.hour, local.minute) == (3, 30) or local.hour == 4
    assert dates == [dates[0] + timedelta(days=days) for days in range(len(dates))]


@pytest.mark.parametrize(
    ("zone", "night", "instants"),
    [
        ("America/New_York", "2024-03-10", ["08:30", "07:30", "07:30"]),  # clocks go forward at 02:00
        ("America/New_York", "2024-11-03", ["07:30", "08:30", "08:30"]),  # back at 02:00
        ("Europe/Athens", "2024-03-31", ["01:30", "01:30", "00:30"]),  # forward at 03:00: there is no 03:30
        ("Europe/Athens", "2024-10-27", ["00:30", "00:30", "01:30"]),  # back at 04:00: there are two, the first counts
    ],
)
def test_the_nights_around_a_change_of_clocks(zone: str, night: str, instants: list[str]) -> None:
    daily = Daily(time(3, 30), ZoneInfo(zone))
    at, found = utc(night) - timedelta(days=1), list[str]()
    for _ in instants:
        at = daily.after(at)
        found.append(f"{at:%H:%M}")
    assert found == instants


def test_without_a_cron_the_clinics_small_hours_are_meant() -> None:
    """03:30 of the zone that was set, UTC included; 02:00 UTC if none was; a cron expression is in UTC, zone or not."""
    noon, zone = utc("2024-07-01 12:00"), ZoneInfo("America/Los_Angeles")
    assert schedule_of(None, zone).after(noon) == utc("2024-07-02 10:30")
    assert schedule_of(None, ZoneInfo("UTC")).after(noon) == utc("2024-07-02 03:30")
    assert schedule_of(None, None).after(noon) == utc("2024-07-02 02:00")
    assert schedule_of("0 4 * * *", zone).after(noon) == utc("2024-07-02 04:00")


def test_a_clock_that_jumps_is_told_from_time_that_passes() -> None:
    """A host that sleeps stands still by the monotonic clock, and a clock that is set moves by itself."""
    clock, awake_s = utc("2024-01-01 00:00"), 1000.0
    jumps = Jumps(lambda: clock, lambda: awake_s)
    clock, awake_s = clock + timedelta(seconds=10), awake_s + 10
    assert jumps.since_last_look() == 0
    clock, awake_s = clock + timedelta(hours=8, seconds=10), awake_s + 10
    assert jumps.since_last_look() == 8 * 3600
    clock, awake_s = clock - timedelta(hours=1), awake_s + 10
    assert jumps.since_last_look() == -3610
    assert jumps.since_last_look() == 0
