from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.extract.pace import (
    CERTIFICATE,
    LONGEST_WAIT_S,
    PAGE_ATTEMPTS,
    SHORTEST_ANSWER_S,
    THROTTLED_ATTEMPTS,
    Failure,
    GiveUpPage,
    GiveUpSource,
    Patience,
    Probe,
    Reach,
    Wait,
    backoff_s,
    decide,
    is_retried,
    next_slot,
    parse_retry_after,
)

PATIENCE = Patience(first_s=10, later_s=300)
NOW = datetime(2024, 3, 1, 12, 0, tzinfo=UTC)
ANSWERING = Reach(last_answer=1000.0)
HTTP_500 = Failure("http_500", 500)
HTTP_429 = Failure("http_429", 429)
jitters = st.floats(0, 1, exclude_max=True)


SILENT = Reach(last_answer=990.0, silent_since=990.0)


def decided(
    failure: Failure, attempts: int, reach: Reach, now: float = 1000.0, *, probed: bool = False
) -> Wait | Probe | GiveUpPage | GiveUpSource:
    return decide(failure, attempts, reach, PATIENCE, probed=probed, now=now, jitter=0.5)


@pytest.mark.parametrize("status", [429, 500, 501, 502, 503, 504, 599])
def test_throttling_and_server_errors_are_retried(status: int) -> None:
    assert is_retried(status)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 412, 422])
def test_other_refusals_are_never_retried(status: int) -> None:
    assert not is_retried(status)


def test_waits_double_up_to_half_a_minute() -> None:
    assert [backoff_s(n, 0.0) for n in range(1, 10)] == [0.25, 0.5, 1, 2, 4, 8, 15, 15, 15]


@given(st.integers(1, 10_000), jitters)
def test_a_wait_is_never_nothing_and_never_longer_than_half_a_minute(attempts: int, jitter: float) -> None:
    assert 0.25 <= backoff_s(attempts, jitter) <= LONGEST_WAIT_S


def test_a_page_that_keeps_failing_while_others_are_answered_is_given_up() -> None:
    assert isinstance(decided(HTTP_500, PAGE_ATTEMPTS - 1, ANSWERING), Wait)
    assert decided(HTTP_500, PAGE_ATTEMPTS, ANSWERING) == GiveUpPage("http_500")


def test_nobody_is_blamed_without_asking_the_source_for_something_else() -> None:
    """The sixth failure of a page and the end of the patience are both looked into once."""
    assert decided(Failure("timeout"), PAGE_ATTEMPTS, SILENT) == Probe()
    assert decided(Failure("timeout"), 2, SILENT, now=1290.0) == Probe()
    assert isinstance(decided(Failure("timeout"), PAGE_ATTEMPTS, SILENT, probed=True), Wait)
    assert decided(Failure("timeout"), 2, SILENT, now=1290.0, probed=True) == GiveUpSource()
    assert decided(Failure("timeout"), PAGE_ATTEMPTS, ANSWERING, probed=True) == GiveUpPage("timeout")
    assert isinstance(decided(Failure("timeout"), 2, ANSWERING, now=1290.0, probed=True), Wait)


def test_a_source_that_never_answered_is_not_asked_for_something_else() -> None:
    assert decided(Failure("timeout"), 9, Reach(None, 990.0)) == GiveUpSource()


def test_a_throttled_request_may_be_told_so_more_often() -> None:
    assert isinstance(decided(HTTP_429, PAGE_ATTEMPTS, ANSWERING), Wait)
    assert decided(HTTP_429, THROTTLED_ATTEMPTS, ANSWERING) == GiveUpPage("http_429")


def test_a_server_that_blames_no_request_is_waited_for_however_often_it_fails() -> None:
    patience = Patience(first_s=10, later_s=300, blames_requests=False)
    assert isinstance(decide(HTTP_500, 99, ANSWERING, patience, now=1000.0, jitter=0.5), Wait)


@pytest.mark.parametrize("failure", [HTTP_500, Failure("not_json", 200), Failure("operation_outcome", 200)])
def test_what_cannot_be_made_use_of_is_no_answer_unless_the_probe_gets_one(failure: Failure) -> None:
    assert decided(failure, PAGE_ATTEMPTS, SILENT) == Probe()
    assert isinstance(decided(failure, PAGE_ATTEMPTS, SILENT, probed=True), Wait)
    assert decided(failure, PAGE_ATTEMPTS, ANSWERING, probed=True) == GiveUpPage(failure.reason)
    assert decided(failure, PAGE_ATTEMPTS, SILENT, now=1290.0, probed=True) == GiveUpSource()


def test_what_says_something_else_from_the_start_is_rather_another_server() -> None:
    """Nobody waits for it; what says nothing, or stands before the source, is waited for."""
    never = Reach(None, 999.0)
    assert decided(Failure("not_json", 200), PAGE_ATTEMPTS, never) == GiveUpPage("not_json")
    for failure in (Failure("timeout"), HTTP_429, Failure("http_503", 503)):
        assert isinstance(decided(failure, PAGE_ATTEMPTS, never), Wait)


@pytest.mark.parametrize(("reach", "over_s"), [(Reach(None, 1000.0), 10), (Reach(1000.0, 1000.0), 300)])
def test_patience_is_short_before_the_first_answer_and_long_after_it(reach: Reach, over_s: float) -> None:
    assert isinstance(decided(Failure("timeout"), 3, reach, 1000.0 + over_s - 0.5), Wait)
    assert decided(Failure("timeout"), 3, reach, 1000.0 + over_s, probed=True) == GiveUpSource()


def test_patience_before_the_first_answer_is_never_longer_than_the_one_after_it() -> None:
    failed = decide(Failure("timeout"), 1, Reach(None, 0.0), Patience(10, 2), now=2.0, jitter=0.5)
    assert failed == GiveUpSource()


def test_silence_is_counted_from_the_last_answer_or_the_first_failed_attempt_whichever_is_later() -> None:
    assert Reach(None).failed(5.0) == Reach(None, 5.0)
    assert Reach(7.0).failed(5.0) == Reach(7.0, 7.0)
    assert Reach(7.0).failed(3600.0) == Reach(7.0, 3600.0)
    assert Reach(7.0, 9.0).failed(20.0) == Reach(7.0, 9.0)
    assert Reach(7.0, 9.0).answered(30.0) == Reach(30.0, None)


def test_a_wait_ends_with_the_patience_so_that_a_last_attempt_is_made() -> None:
    assert decided(Failure("timeout"), 5, Reach(700.0, 702.0)) == Wait(2.0)


def test_retry_after_is_the_least_wait() -> None:
    assert decided(Failure("http_503", 503, 17.0), 1, ANSWERING) == Wait(17.0)
    assert decided(Failure("http_503", 503, 0.0), 3, ANSWERING) == Wait(backoff_s(3, 0.5))


def test_a_retry_after_beyond_the_patience_gives_the_source_up_at_once() -> None:
    assert decided(Failure("http_503", 503, 301.0), 1, Reach(1000.0)) == GiveUpSource()
    assert decided(Failure("http_503", 503, 11.0), 1, Reach(None, 1000.0)) == GiveUpSource()


def test_a_source_that_throttles_the_very_first_request_has_the_whole_patience() -> None:
    assert decided(Failure("http_429", 429, 60.0), 1, Reach(None, 1000.0)) == Wait(60.0)


@pytest.mark.parametrize(
    ("reach", "seconds"),
    [
        (Reach(), 10),
        (Reach(None, 997.0), 7),
        (Reach(None, 992.0), SHORTEST_ANSWER_S),
        (Reach(None, 900.0), SHORTEST_ANSWER_S),
        (ANSWERING, 300),
        (SILENT, 300),
    ],
)
def test_an_answer_may_take_what_is_left_of_the_first_patience_and_later_all_of_it(
    reach: Reach, seconds: float
) -> None:
    assert PATIENCE.answer_within_s(reach, 1000.0) == seconds


def test_little_patience_holds_for_the_first_answer_and_for_later_ones() -> None:
    assert Patience(first_s=10, later_s=8).answer_within_s(Reach(), 1000.0) == 8
    assert Patience(first_s=10, later_s=8).answer_within_s(ANSWERING, 1000.0) == 8
    assert Patience(first_s=10, later_s=1).answer_within_s(ANSWERING, 1000.0) == SHORTEST_ANSWER_S


def test_an_untrusted_certificate_is_not_waited_for() -> None:
    assert decided(Failure(CERTIFICATE), 1, ANSWERING) == GiveUpSource()


@given(
    st.lists(st.sampled_from([HTTP_429, HTTP_500, Failure("timeout"), Failure("http_503", 503, 2.0)]), min_size=1),
    st.floats(0, 20),
    jitters,
)
def test_a_source_that_never_answers_is_given_up_when_the_patience_is_over(
    failures: list[Failure], attempt_s: float, jitter: float
) -> None:
    """However it fails and however long an attempt takes, waits end at the patience to the millisecond."""
    now, attempts = 50.0, 0
    reach = Reach(last_answer=50.0)
    while True:
        began, now = now, now + attempt_s
        reach = reach.failed(began)
        decision = decide(
            failures[attempts % len(failures)],
            attempts + 1,
            reach,
            PATIENCE,
            probed=True,
            now=now,
            jitter=jitter,
        )
        attempts += 1
        assert not isinstance(decision, GiveUpPage)
        if not isinstance(decision, Wait):
            break
        now += decision.seconds
        assert now - 50.0 <= 300.001
    assert decision == GiveUpSource()
    assert attempts < 5000


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
