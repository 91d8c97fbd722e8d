"""When to ask again, when to give up, and how fast to go. Pure: clock and randomness are passed in.

Canvas promises no rate and sends no signal, so a safe pace is found by backing off (RFC 9110 §10.2.3
`Retry-After`, §15.5, §15.6). Two things are told apart: a page that is at fault while its source answers
others, which fails that page alone, and a source that answers nobody, which is waited for as long as the
patience lasts. An answer is what can be made use of, or a refusal of what was asked: a 500 or a 200 with a
maintenance page says nothing about whose fault it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

PAGE_ATTEMPTS = 6
THROTTLED_ATTEMPTS = 20
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
SHORTEST_ANSWER_S = 5.0
"""What an answer may take however little patience there is: a busy source is not an absent one."""
TOO_MANY_REQUESTS = 429
CERTIFICATE = "certificate"

# Said by whatever stands before the source, or by a source that refuses work.
NOT_ANSWERING = frozenset({TOO_MANY_REQUESTS, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed attempt. `reason` is a word for the ledger, such as `http_500`, `timeout` or `not_json`."""

    reason: str
    status_code: int | None = None
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Reach:
    """How a server has been answering, over all requests to it; seconds of a monotonic clock.

    `last_answer` is None before the first answer; `silent_since` is None if the latest news was an answer.
    """

    last_answer: float | None = None
    silent_since: float | None = None

    def answered(self, now: float) -> Reach:
        """Return the state after an answer."""
        return Reach(last_answer=now)

    def failed(self, began: float) -> Reach:
        """Return the state after an attempt that began at `began` and got no answer."""
        if self.silent_since is not None:
            return self
        return replace(self, silent_since=began if self.last_answer is None else max(began, self.last_answer))


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server may stay silent, in seconds: before its first answer, and later.

    `blames_requests` tells whether one request may be at fault while the server answers others: a page may, a
    token is the same for everybody.
    """

    first_s: float
    later_s: float
    blames_requests: bool = True

    def left_s(self, reach: Reach, failure: Failure, now: float) -> float:
        """Return how many seconds are left after `failure`; 0 or less: none. Only a live server says 429."""
        met = reach.last_answer is not None or failure.status_code == TOO_MANY_REQUESTS
        return self._left_s(reach, now, met=met)

    def answer_within_s(self, reach: Reach, now: float) -> float:
        """Return how many seconds a request that starts now may wait for its answer, `SHORTEST_ANSWER_S` at least.

        Before the first answer what is left of the patience; later all of it, since others may be answered meanwhile.
        """
        if reach.last_answer is not None:
            return max(self.later_s, SHORTEST_ANSWER_S)
        return max(self._left_s(reach, now, met=False), SHORTEST_ANSWER_S)

    def _left_s(self, reach: Reach, now: float, *, met: bool) -> float:
        limit_s = self.later_s if met else min(self.first_s, self.later_s)
        silent_s = 0.0 if reach.silent_since is None else now - reach.silent_since
        # To the millisecond: what floating point leaves over is no time to wait for.
        return round(limit_s - silent_s, 3)


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask again after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Probe:
    """Whose fault is it? Ask for something small: if that is answered, the page is at fault and not the source."""


@dataclass(frozen=True, slots=True)
class GiveUpPage:
    """The source answers something else: this request is at fault."""

    reason: str


@dataclass(frozen=True, slots=True)
class GiveUpSource:
    """The source answered nobody for the whole patience, or asks for a longer wait than that."""


def is_retried(status_code: int) -> bool:
    """Tell whether an answer with this status is asked for again: 429 and 5xx, never another 4xx."""
    return status_code == TOO_MANY_REQUESTS or status_code >= 500


def decide(
    failure: Failure,
    attempts: int,
    reach: Reach,
    patience: Patience,
    *,
    probed: bool = False,
    now: float,
    jitter: float,
) -> Wait | Probe | GiveUpPage | GiveUpSource:
    """Decide what follows the `attempts`-th failed attempt of one request.

    `reach` includes this failure, and the probe's answer if there was one; `probed` tells that it was made. `now`
    is of the same clock, `jitter` lies in [0, 1). A request that is told to slow down (429) is hardly at fault
    itself, so it may be told so more often. An untrusted certificate is not waited for.

    A page is blamed only once the source has answered the probe. Before the source has ever answered, one that says
    something, but nothing to be made use of, is rather the wrong URL: then there is nothing to wait for.
    """
    left_s = patience.left_s(reach, failure, now)
    retry_after_s = failure.retry_after_s or 0.0
    if failure.reason == CERTIFICATE or retry_after_s > left_s > 0:
        return GiveUpSource()
    most = THROTTLED_ATTEMPTS if failure.status_code == TOO_MANY_REQUESTS else PAGE_ATTEMPTS
    suspicious = patience.blames_requests and attempts >= most
    silent = reach.silent_since is not None
    may_probe = patience.blames_requests and reach.last_answer is not None and not probed
    if may_probe and silent and (suspicious or left_s <= 0):
        return Probe()
    if left_s <= 0:
        return GiveUpSource()
    if suspicious and (not silent or _is_another_server(failure, reach)):
        return GiveUpPage(failure.reason)
    return Wait(min(max(backoff_s(attempts, jitter), retry_after_s), left_s))


def _is_another_server(failure: Failure, reach: Reach) -> bool:
    says_something = failure.status_code is not None and failure.status_code not in NOT_ANSWERING
    return says_something and reach.last_answer is None


def backoff_s(attempts: int, jitter: float) -> float:
    """Return the seconds to wait after so many failures: 0.5 to 30, doubling, half of it left to `jitter`."""
    # The exponent is bounded: a float overflows long before a patient caller stops.
    full = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(attempts - 1, 16))
    return full / 2 + full / 2 * jitter


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Return the seconds that a `Retry-After` asks for (RFC 9110 §10.2.3).

    It holds seconds, or an HTTP-date, which is held against the aware `now`. A date in the past gives 0.0; a
    missing or unreadable value None.
    """
    if value is None:
        return None
    text = value.strip()
    if re.fullmatch(r"[0-9]{1,12}", text):
        return float(text)
    try:
        date = parsedate_to_datetime(text)
        # RFC 9110 §5.6.7: an HTTP-date is UTC even in the form that does not say so.
        date = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
        return max(0.0, (date - now).total_seconds())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def next_slot(previous_slot: float | None, now: float, rate_per_s: float | None) -> float:
    """Return the instant at which the next request may start, at `rate_per_s` at most (None: no limit).

    Idle time earns no credit: requests are never closer together than 1/rate.
    """
    if previous_slot is None or rate_per_s is None:
        return now
    return max(now, previous_slot + 1 / rate_per_s)
