"""Schedules mean what crontab(5) says they mean, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from worker.errors import SettingsError
from worker.service.cron import days_of_week, trigger

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
