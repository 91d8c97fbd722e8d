"""When a request is repeated, and when it, its token or its source is given up."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.extract.answers import Means
from worker.extract.pace import backoff_s
from worker.extract.patience import (
    CERTIFICATE,
    PAGE_ATTEMPTS,
    REFUSED_TOKEN_S,
    SHORTEST_ANSWER_S,
    THROTTLED_ATTEMPTS,
    Attempts,
    Decision,
    Failure,
    GiveUpPage,
    GiveUpSource,
    GiveUpToken,
    Patience,
    Probe,
    Reach,
    Renew,
    Wait,
    decide,
)

PATIENCE = Patience(first_s=10, later_s=300)
ANSWERING = Reach(last_answer=1000.0)
HTTP_500 = Failure("http_500", 500)
HTTP_429 = Failure("http_429", 429)
jitters = st.floats(0, 1, exclude_max=True)


SILENT = Reach(last_answer=990.0, silent_since=990.0)


def decided(failure: Failure, attempts: int, reach: Reach, now: float = 1000.0, *, probed: bool = False) -> Decision:
    return decide(failure, Attempts(attempts, vouched=True), reach, PATIENCE, probed=probed, now=now, jitter=0.5)


def test_a_page_that_keeps_failing_while_others_are_answered_is_given_up() -> None:
    assert isinstance(decided(HTTP_500, PAGE_ATTEMPTS - 1, ANSWERING), Wait)
    assert decided(HTTP_500, PAGE_ATTEMPTS, ANSWERING) == GiveUpPage("http_500")


def test_a_page_that_failed_while_the_source_was_away_is_asked_once_more_when_it_is_back() -> None:
    """The first answer after an outage vouches for the source, not against whoever failed during the outage."""
    failed = Attempts(PAGE_ATTEMPTS + 3, vouched=False)
    for reach, probed in ((ANSWERING, False), (ANSWERING, True)):
        asked = decide(HTTP_500, failed, reach, PATIENCE, probed=probed, now=1000.0, jitter=0.5)
        assert asked == Wait(backoff_s(1, 0.5)), "soon, however long the pauses have become"


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
    assert isinstance(decide(HTTP_500, Attempts(99), ANSWERING, patience, now=1000.0, jitter=0.5), Wait)


@pytest.mark.parametrize("failure", [HTTP_500, Failure("not_json", 200), Failure("operation_outcome", 200)])
def test_what_cannot_be_made_use_of_is_no_answer_unless_the_probe_gets_one(failure: Failure) -> None:
    assert decided(failure, PAGE_ATTEMPTS, SILENT) == Probe()
    assert isinstance(decided(failure, PAGE_ATTEMPTS, SILENT, probed=True), Wait)
    assert decided(failure, PAGE_ATTEMPTS, ANSWERING, probed=True) == GiveUpPage(failure.reason)
    assert decided(failure, PAGE_ATTEMPTS, SILENT, now=1290.0, probed=True) == GiveUpSource()


@pytest.mark.parametrize(("reach", "over_s"), [(Reach(None, 1000.0), 10), (Reach(1000.0, 1000.0), 300)])
def test_patience_is_short_before_the_first_answer_and_long_after_it(reach: Reach, over_s: float) -> None:
    assert isinstance(decided(Failure("timeout"), 3, reach, 1000.0 + over_s - 0.5), Wait)
    assert decided(Failure("timeout"), 3, reach, 1000.0 + over_s, probed=True) == GiveUpSource()


def test_patience_before_the_first_answer_is_never_longer_than_the_one_after_it() -> None:
    failed = decide(Failure("timeout"), Attempts(1), Reach(None, 0.0), Patience(10, 2), now=2.0, jitter=0.5)
    assert failed == GiveUpSource()


def test_silence_is_counted_from_the_last_answer_or_the_first_failed_attempt_whichever_is_later() -> None:
    timeout = Failure("timeout")
    assert Reach(None).failed(5.0, timeout) == Reach(None, 5.0, only_strangers=False)
    assert Reach(7.0).failed(5.0, timeout) == Reach(7.0, 7.0, only_strangers=False)
    assert Reach(7.0).failed(3600.0, timeout) == Reach(7.0, 3600.0, only_strangers=False)
    assert Reach(7.0, 9.0).failed(20.0, timeout) == Reach(7.0, 9.0, only_strangers=False)
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
        reach = reach.failed(began, failures[attempts % len(failures)])
        decision = decide(
            failures[attempts % len(failures)],
            Attempts(attempts + 1),
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


# Tokens that are refused

REFUSED = Failure("http_401", 401, means=Means.RENEW)


def on_token(
    attempts: Attempts,
    reach: Reach = SILENT,
    now: float = 1000.0,
    *,
    probed: bool = False,
    patience: Patience = PATIENCE,
) -> Decision:
    return decide(REFUSED, attempts, reach, patience, probed=probed, now=now, jitter=0.5)


def test_a_refused_token_is_replaced_at_once_and_once() -> None:
    assert on_token(Attempts(1, refused_since=1000.0, other_token=True)) == Renew()
    assert isinstance(on_token(Attempts(2, refused_since=1000.0, other_token=True, renewed=True)), Wait)


def test_a_fresh_token_is_shown_for_half_a_minute_before_anybody_is_blamed() -> None:
    fresh = Attempts(9, refused_since=1000.0, renewed=True)
    assert isinstance(on_token(fresh, now=1000.0 + REFUSED_TOKEN_S - 0.1), Wait)
    assert on_token(fresh, now=1000.0 + REFUSED_TOKEN_S) == Probe()
    assert on_token(fresh, now=1000.0 + REFUSED_TOKEN_S, probed=True) == GiveUpToken()
    assert isinstance(on_token(fresh, ANSWERING, now=1000.0 + REFUSED_TOKEN_S, probed=True), Wait)
    again = replace(fresh, vouched=True)
    assert on_token(again, ANSWERING, now=1000.0 + REFUSED_TOKEN_S, probed=True) == GiveUpPage("http_401")


def test_one_search_that_is_always_refused_is_given_up_while_others_are_answered() -> None:
    refused = Attempts(PAGE_ATTEMPTS - 1, vouched=True, refused_since=990.0, renewed=True)
    assert isinstance(on_token(refused, ANSWERING), Wait)
    assert on_token(replace(refused, failed=PAGE_ATTEMPTS), ANSWERING) == GiveUpPage("http_401")


def test_a_ready_token_that_never_worked_is_not_waited_for() -> None:
    never = Reach(None, 1000.0)
    assert on_token(Attempts(1, refused_since=1000.0, lasting=True), never) == Probe()
    assert on_token(Attempts(1, refused_since=1000.0, lasting=True), never, probed=True) == GiveUpToken()
    assert isinstance(on_token(Attempts(1, refused_since=1000.0, lasting=True), SILENT), Wait)


def test_before_a_first_answer_a_fresh_token_has_no_more_time_than_the_source() -> None:
    fresh, never = Attempts(5, refused_since=1000.0, renewed=True), Reach(None, 1000.0)
    assert isinstance(on_token(fresh, never, now=1009.0), Wait)
    assert on_token(fresh, never, now=1010.0) == Probe()


@given(
    st.sampled_from(Means),
    st.sampled_from([None, 200, 403, 429, 503]),
    st.booleans(),
    st.booleans(),
    st.integers(1, 50),
    st.floats(0, 400),
    jitters,
)
def test_whatever_fails_something_is_decided_and_no_wait_is_endless(
    means: Means, status: int | None, ever: bool, lately: bool, failed: int, since_s: float, jitter: float
) -> None:
    """Every meaning, before and after a first answer, a moment ago or not: only who is answered is blamed."""
    now = 2000.0
    reach = Reach(now - since_s if ever else None, None if ever and lately else now - since_s)
    attempts = Attempts(failed, refused_since=now - since_s, renewed=True)
    decision = decide(Failure("x", status, means=means), attempts, reach, PATIENCE, probed=True, now=now, jitter=jitter)
    if isinstance(decision, Wait):
        assert 0 < decision.seconds <= 30
    if isinstance(decision, GiveUpPage):
        assert reach.silent_since is None
    if isinstance(decision, GiveUpToken):
        assert means is Means.RENEW
