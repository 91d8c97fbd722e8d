"""When to ask again, and when to give up. Pure: clock and randomness are passed in.

It distinguishes two things. A page may be at fault while its source answers others; then only that page fails. Or the
source answers nobody; then it is waited for until the patience ends. An answer is something usable, or the source's own
refusal of what was asked. A 500 or a maintenance page, whatever its status, does not say whose fault it is
(`worker.extract.answers`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from worker.extract.answers import Means
from worker.extract.pace import backoff_s

PAGE_ATTEMPTS = 6
THROTTLED_ATTEMPTS = 20
SHORTEST_ANSWER_S = 5.0
"""How long an answer may take even if little patience is left, because a busy source is not an absent one."""
REFUSED_TOKEN_S = 30.0
"""How long a refused token is tried again, because a fresh one may not be known everywhere at once."""
TOO_MANY_REQUESTS = 429
CERTIFICATE = "certificate"


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed attempt. `reason` is a word for the ledger, such as `http_500`, `timeout` or `not_json`.

    `means` is what the answer meant (`worker.extract.answers`); if none came, ask again. `detail` is what the TLS
    library says of a certificate.
    """

    reason: str
    status_code: int | None = None
    retry_after_s: float | None = None
    means: Means = Means.AGAIN
    is_web_page: bool = False
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Reach:
    """How a server has been answering, over all requests to it; seconds of a monotonic clock.

    `last_answer` is None before the first answer; `silent_since` is None if the latest news was an answer.
    `only_strangers` is whether every failure was an answer of something else in its place (`Means.AWAY`).
    """

    last_answer: float | None = None
    silent_since: float | None = None
    only_strangers: bool = True

    def answered(self, now: float) -> Reach:
        """Return the state after an answer."""
        return Reach(last_answer=now)

    def failed(self, began: float, failure: Failure) -> Reach:
        """Return the state after an attempt that began at `began` and got no answer, but `failure`."""
        only_strangers = self.only_strangers and failure.means is Means.AWAY
        if self.silent_since is not None:
            return replace(self, only_strangers=only_strangers)
        since = began if self.last_answer is None else max(began, self.last_answer)
        return replace(self, silent_since=since, only_strangers=only_strangers)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server may stay silent, in seconds: before its first answer, and later.

    `blames_requests` is whether one request may be at fault while the server answers others. That is so for a page, but
    not for a request for a token, which is the same for everybody.
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

    def limit_s(self, reach: Reach) -> float:
        """Return how many seconds the server may stay silent, all in all."""
        return self.later_s if reach.last_answer is not None else min(self.first_s, self.later_s)

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
    """Ask for something small, to find whose fault it is: if that is answered, the page is at fault."""


@dataclass(frozen=True, slots=True)
class Renew:
    """Ask again at once, with another token."""


@dataclass(frozen=True, slots=True)
class GiveUpPage:
    """The source answers other requests, so this one is at fault."""

    reason: str


@dataclass(frozen=True, slots=True)
class GiveUpToken:
    """The source refuses our tokens for every request."""


@dataclass(frozen=True, slots=True)
class GiveUpSource:
    """The source answered nobody for the whole patience, or asks for a longer wait than that."""


Decision: TypeAlias = "Wait | Probe | Renew | GiveUpPage | GiveUpToken | GiveUpSource"


@dataclass(frozen=True, slots=True)
class Attempts:
    """The history of one request: how many attempts failed, and since when its token is refused.

    `vouched` is whether the source was answering others at the failure before; a request that failed while the source
    was away is tried once more when it is back. `other_token` is whether there is a token other than the refused one.
    `lasting` is whether a ready token was given, which cannot be replaced.
    """

    failed: int = 0
    vouched: bool = False
    refused_since: float | None = None
    renewed: bool = False
    other_token: bool = False
    lasting: bool = False


def decide(
    failure: Failure,
    attempts: Attempts,
    reach: Reach,
    patience: Patience,
    *,
    probed: bool = False,
    now: float,
    jitter: float,
) -> Decision:
    """Decide what follows a failed attempt of one request, the last one of `attempts`.

    `reach` includes this failure, and the probe's answer if there was one. `probed` is whether a probe was made. `now`
    is of the same clock, `jitter` lies in [0, 1). A request that is told to slow down (429) is hardly at fault itself,
    so it may fail more often. An untrusted certificate is not waited for.

    A page is blamed only if the source has answered others, or the probe, before and after its last attempt.
    """
    if failure.means is Means.RENEW:
        return _decide_on_token(failure, attempts, reach, patience, probed=probed, now=now, jitter=jitter)
    left_s = patience.left_s(reach, failure, now)
    retry_after_s = failure.retry_after_s or 0.0
    if failure.reason == CERTIFICATE or retry_after_s > left_s > 0:
        return GiveUpSource()
    most = THROTTLED_ATTEMPTS if failure.status_code == TOO_MANY_REQUESTS else PAGE_ATTEMPTS
    suspicious = patience.blames_requests and attempts.failed >= most
    silent = reach.silent_since is not None
    may_probe = patience.blames_requests and reach.last_answer is not None and not probed
    if may_probe and silent and (suspicious or left_s <= 0):
        return Probe()
    if left_s <= 0:
        return GiveUpSource()
    if suspicious and not silent and attempts.vouched:
        return GiveUpPage(failure.reason)
    wait_s = backoff_s(1 if suspicious and not silent else attempts.failed, jitter)
    return Wait(min(max(wait_s, retry_after_s), left_s))


def _decide_on_token(
    failure: Failure, attempts: Attempts, reach: Reach, patience: Patience, *, probed: bool, now: float, jitter: float
) -> Decision:
    """Decide about a 401: use another token at once, try it for `REFUSED_TOKEN_S`, then blame the page or the token.

    A ready token that was never accepted is a wrong setting, so it is not waited for.
    """
    if attempts.other_token and not attempts.renewed:
        return Renew()
    never_worked = attempts.lasting and reach.last_answer is None
    since = now if attempts.refused_since is None else attempts.refused_since
    left_s = 0.0 if never_worked else round(min(REFUSED_TOKEN_S, patience.limit_s(reach)) - (now - since), 3)
    silent = reach.silent_since is not None
    suspicious = attempts.failed >= PAGE_ATTEMPTS and not silent
    if left_s > 0 and not suspicious:
        return Wait(min(backoff_s(attempts.failed, jitter), left_s))
    if silent and not probed:
        return Probe()
    if silent:
        return GiveUpToken()
    return GiveUpPage(failure.reason) if attempts.vouched else Wait(backoff_s(1, jitter))
