"""What a difference comes to, each case, and what a verification advises."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.jobs.run.ask import Answer
from worker.jobs.verify.differences import Verdict, advice, doubt, judge
from worker.load.sightings import Difference

BEGAN = datetime(2024, 3, 1, 12, tzinfo=UTC)
NOW = BEGAN + timedelta(minutes=5)
TICK = timedelta(microseconds=1)
MIRRORED, OTHER = b"mirrored", b"other"

NOT_ASKED = Answer(None)
NO = Answer(known=False)
SAME = Answer(known=True, content_hash=MIRRORED)
CHANGED = Answer(known=True, content_hash=OTHER)
UNUSABLE = Answer(known=True)


def difference(kind: str, **fields: Any) -> Difference:
    """Make one as the warehouse returns it: of what is missing there is no row, of the other kinds mostly one."""
    given: dict[str, Any] = {"key": "m", "message_id": "m", "practitioner_id": None, "sent_at": None}
    given |= {"mirror_hash": None if kind == "missing" else MIRRORED, "as_last_shown": False}
    return Difference(kind=kind, **{**given, **fields})


@pytest.mark.parametrize(
    ("kind", "answer", "fields", "verdict"),
    [
        ("missing", CHANGED, {}, Verdict.DIFFERENCE),
        ("missing", CHANGED, {"sent_at": BEGAN - TICK}, Verdict.DIFFERENCE),
        ("missing", CHANGED, {"sent_at": BEGAN}, Verdict.MOVED),
        ("missing", CHANGED, {"sent_at": NOW}, Verdict.MOVED),
        ("missing", CHANGED, {"sent_at": NOW + TICK}, Verdict.DIFFERENCE),
        ("missing", UNUSABLE, {"sent_at": BEGAN}, Verdict.MOVED),
        ("missing", NO, {}, Verdict.UNKNOWN),
        ("missing", NOT_ASKED, {}, Verdict.UNKNOWN),
        ("extra", SAME, {}, Verdict.MOVED),
        ("extra", CHANGED, {}, Verdict.DIFFERENCE),
        ("extra", CHANGED, {"as_last_shown": True}, Verdict.MOVED),
        ("extra", NO, {}, Verdict.DIFFERENCE),
        ("extra", NO, {"as_last_shown": True}, Verdict.GONE),
        ("extra", NOT_ASKED, {"as_last_shown": True}, Verdict.UNKNOWN),
        ("stale", SAME, {}, Verdict.MOVED),
        ("stale", CHANGED, {}, Verdict.DIFFERENCE),
        ("stale", CHANGED, {"sent_at": BEGAN}, Verdict.DIFFERENCE),
        ("stale", CHANGED, {"as_last_shown": True}, Verdict.MOVED),
        ("stale", UNUSABLE, {"as_last_shown": True}, Verdict.MOVED),
        ("stale", NO, {}, Verdict.DIFFERENCE),
        ("stale", NO, {"as_last_shown": True}, Verdict.GONE),
        ("stale", NOT_ASKED, {}, Verdict.UNKNOWN),
        ("unaccounted", UNUSABLE, {}, Verdict.DIFFERENCE),
        ("unaccounted", UNUSABLE, {"as_last_shown": True}, Verdict.MOVED),
        ("unaccounted", SAME, {}, Verdict.MOVED),
        ("unaccounted", NO, {"as_last_shown": True}, Verdict.GONE),
        ("unaccounted", UNUSABLE, {"mirror_hash": None}, Verdict.DIFFERENCE),
        ("unaccounted", NO, {"mirror_hash": None}, Verdict.UNKNOWN),
        ("unaccounted", NOT_ASKED, {}, Verdict.UNKNOWN),
        ("unaccounted", NOT_ASKED, {"message_id": None, "mirror_hash": None}, Verdict.DIFFERENCE),
        ("altered", NOT_ASKED, {"as_last_shown": True}, Verdict.DIFFERENCE),
    ],
)
def test_a_difference_is_judged(kind: str, answer: Answer, fields: dict[str, Any], verdict: Verdict) -> None:
    assert judge(difference(kind, **fields), answer, began_at=BEGAN, now=NOW) is verdict


@given(
    kind=st.sampled_from(["missing", "extra", "stale", "unaccounted"]),
    answer=st.sampled_from([NOT_ASKED, NO, SAME, CHANGED, UNUSABLE]),
    sent_at=st.none() | st.datetimes(timezones=st.just(UTC)),
    as_last_shown=st.booleans(),
)
def test_only_evidence_excuses(kind: str, answer: Answer, sent_at: datetime | None, as_last_shown: bool) -> None:
    """Nothing has moved without a sign of it; nothing is gone that the source was not asked for, or knows."""
    one = difference(kind, sent_at=sent_at, as_last_shown=as_last_shown)
    verdict = judge(one, answer, began_at=BEGAN, now=NOW)
    contradicts_itself = answer.known is False and one.mirror_hash is None
    assert (verdict is Verdict.UNKNOWN) is (answer.known is None or contradicts_itself)
    if verdict is Verdict.GONE:
        assert answer.known is False
        assert one.mirror_hash is not None
    if verdict is Verdict.MOVED:
        assert answer.known is True
        sent_meanwhile = kind == "missing" and sent_at is not None and BEGAN <= sent_at <= NOW
        assert sent_meanwhile or as_last_shown or answer.content_hash == one.mirror_hash


@pytest.mark.parametrize(
    ("denied", "live", "source_knows_ids", "reason"),
    [
        (0, 0, False, None),
        (1, 100, True, None),
        (1, 100, False, "source_unreliable"),
        (50, 100, True, None),
        (51, 100, True, "too_many"),
        (500, 10_000, True, None),
        (501, 10_000, True, "too_many"),
    ],
)
def test_what_is_denied_is_believed_as_a_full_run_believes_it(
    denied: int, live: int, source_knows_ids: bool, reason: str | None
) -> None:
    assert doubt(denied=denied, live=live, source_knows_ids=source_knows_ids) == reason


@pytest.mark.parametrize(
    ("reason", "kinds", "said"),
    [
        (None, (), None),
        (None, ("missing",), "Next: message-mirror sync, then message-mirror verify again"),
        (None, ("altered",), "Next: message-mirror replay, then message-mirror verify again"),
        (None, ("altered", "extra"), "message-mirror sync, then message-mirror replay, then message-mirror verify"),
        ("sync_not_complete", (), "Next: message-mirror sync, then message-mirror verify again"),
        ("source_unreliable", ("extra",), "(message-mirror check), then message-mirror verify."),
        ("too_many", (), "(message-mirror check), then message-mirror verify."),
        ("http_403", (), "Next: give this client the scopes for Communication, Practitioner and Patient"),
        ("http_403", ("missing",), "message-mirror check, then message-mirror verify."),
        ("sightings_lost", (), "Next: message-mirror verify."),
        ("passes_differ", (), "Next: message-mirror verify at a quieter hour"),
    ],
)
def test_it_is_said_what_to_type_next(reason: str | None, kinds: tuple[str, ...], said: str | None) -> None:
    advised = advice(reason, kinds)
    assert advised is None if said is None else advised is not None and said in advised
