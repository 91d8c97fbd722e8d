from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.extract.pace import LONGEST_WAIT_S, SLOWEST_PER_S, Pace, backoff_s, next_slot, parse_retry_after

NOW = datetime(2024, 3, 1, 12, 0, tzinfo=UTC)
jitters = st.floats(0, 1, exclude_max=True)


def test_waits_double_up_to_half_a_minute() -> None:
    assert [backoff_s(n, 0.0) for n in range(1, 10)] == [0.25, 0.5, 1, 2, 4, 8, 15, 15, 15]


@given(st.integers(1, 10_000), jitters)
def test_a_wait_is_never_nothing_and_never_longer_than_half_a_minute(attempts: int, jitter: float) -> None:
    assert 0.25 <= backoff_s(attempts, jitter) <= LONGEST_WAIT_S


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Fri, 01 Mar 2024 12:00:30 GMT", 30.0),
        ("Friday, 01-Mar-24 12:00:30 GMT", 30.0),
        ("Fri Mar  1 12:00:30 2024", 30.0),
        ("Fri, 01 Mar 2024 11:00:00 GMT", 0.0),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("٣", None),
        ("9" * 400, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, NOW) == seconds


@given(st.integers(0, 10**6))
def test_every_http_date_is_read_back(ahead_s: int) -> None:
    value = format_datetime(NOW + timedelta(seconds=ahead_s), usegmt=True)
    assert parse_retry_after(value, NOW) == ahead_s


@given(st.text())
def test_no_retry_after_whatever_it_says_is_negative_or_raises(value: str) -> None:
    seconds = parse_retry_after(value, NOW)
    assert seconds is None or seconds >= 0


@given(st.lists(st.floats(0, 100), min_size=2, max_size=50), st.floats(0.01, 1000))
def test_requests_never_start_closer_together_than_the_rate_allows(idle_s: list[float], rate: float) -> None:
    now, slots = 0.0, list[float]()
    for idle in idle_s:
        now += idle
        slots.append(next_slot(slots[-1] if slots else None, now, rate))
        assert slots[-1] >= now
    assert all(later - earlier >= 1 / rate - 1e-9 for earlier, later in pairwise(slots))


def test_without_a_rate_every_request_starts_at_once() -> None:
    assert next_slot(5.0, 5.0, None) == 5.0


# A pace that is learnt


def after_answers(answers: int, pace: Pace | None = None) -> Pace:
    pace = pace or Pace()
    for number in range(answers):
        pace = pace.answered(100.0 + number / answers)
    return pace


def test_a_server_that_refuses_is_asked_more_slowly_than_it_answered_lately() -> None:
    slowed = after_answers(20).refused(25, 30)
    assert slowed.rate_per_s == pytest.approx(14)
    assert slowed.limited_to(None) == pytest.approx(14)
    assert slowed.limited_to(5) == 5
    assert Pace().limited_to(None) is None


def test_what_was_under_way_when_it_was_slowed_slows_it_no_further() -> None:
    slowed = after_answers(20).refused(25, 30)
    assert slowed.refused(30, 40) == slowed


def test_a_server_that_answers_nothing_any_more_is_not_asked_more_slowly_still() -> None:
    """It is away: waits grow, and it is not overrun when it is back."""
    slowed = after_answers(20).refused(25, 30)
    assert slowed.refused(31, 40) == slowed


def test_whoever_asks_little_is_not_slowed() -> None:
    assert after_answers(1).refused(2, 2).rate_per_s is None


def test_it_recovers_a_little_each_second_in_which_it_answers() -> None:
    pace = Pace(14.0, 30)
    for tenth in range(51):
        pace = pace.answered(200.0 + tenth / 10)
    assert pace.rate_per_s == pytest.approx(20)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 5)), max_size=300))
def test_a_pace_is_never_slower_than_one_request_a_second(events: list[tuple[bool, float]]) -> None:
    pace, now = Pace(), 0.0
    for number, (refused, later_s) in enumerate(events, start=1):
        now += later_s
        pace = pace.refused(number, number) if refused else pace.answered(now)
        assert pace.rate_per_s is None or pace.rate_per_s >= SLOWEST_PER_S
