"""How fast to ask, and how long to wait before asking again. Pure: clock and randomness are passed in.

Canvas promises no rate and sends no signal. So a safe pace is found by backing off (RFC 9110 §10.2.3 `Retry-After`) and
by refusals: slower at once, faster little by little (AIMD, as in RFC 5681 for TCP).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
SLOWER = 0.7
FASTER_PER_S = 1.0
SLOWEST_PER_S = 1.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a server may be asked, learned from its refusals: slower at once, a little faster each second.

    `rate_per_s` is None before the first refusal. `sent` counts the requests sent when it was last slowed. `answers`
    counts those answered in the second that began at `second`, `before` those of the second before.
    """

    rate_per_s: float | None = None
    sent: int = 0
    second: float | None = None
    answers: int = 0
    before: int = 0

    def answered(self, now: float) -> Pace:
        """Return the pace after an answer at `now`."""
        if self.second is not None and now < self.second + 1:
            return replace(self, answers=self.answers + 1)
        before = self.answers if self.second is not None and now < self.second + 2 else 0
        rate = None if self.rate_per_s is None else self.rate_per_s + FASTER_PER_S
        return replace(self, rate_per_s=rate, second=now, answers=1, before=before)

    def refused(self, request: int, sent: int) -> Pace:
        """Return the pace after the request with this number was refused, when so many had been sent.

        The pace becomes slower than the server has answered lately, once for all requests in flight. A server that has
        answered nothing since is away rather than overloaded, so the pace does not go down again.
        """
        answers = max(self.answers, self.before)
        if request <= self.sent or answers <= SLOWEST_PER_S:
            return self
        lately = answers if self.rate_per_s is None else min(self.rate_per_s, answers)
        return Pace(max(SLOWEST_PER_S, SLOWER * lately), sent)

    def limited_to(self, rate_per_s: float | None) -> float | None:
        """Return the rate to keep: the lower of the learned rate and the operator's."""
        return min((rate for rate in (self.rate_per_s, rate_per_s) if rate is not None), default=None)


def backoff_s(attempts: int, jitter: float) -> float:
    """Return the seconds to wait after so many failures: 0.5 to 30, doubling, half of it left to `jitter`."""
    # The exponent is bounded, because a float overflows long before a patient caller stops.
    full = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(attempts - 1, 16))
    return full / 2 + full / 2 * jitter


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Return the seconds that a `Retry-After` asks for (RFC 9110 §10.2.3).

    It holds seconds, or an HTTP-date, which is compared with the aware `now`. A date in the past gives 0.0; a missing
    or unreadable value gives None.
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
