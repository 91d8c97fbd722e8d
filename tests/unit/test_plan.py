"""The decisions of a run, each case of each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.jobs.run.deletions import Deletions, decide, deletions_max
from worker.jobs.run.plan import (
    Outcome,
    Resumption,
    Selection,
    longest_first,
    outcome,
    resumption,
    searches_for,
)
from worker.load.ledger import OpenRun, RunSums
from worker.records import Communication, Reference, Search

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)


def message(
    *, sent: datetime | None = None, sender: Reference | None = None, recipients: tuple[Reference, ...] = ()
) -> Communication:
    return Communication("m", None, sent, None, sender, recipients, (), b"", b"", b"")


# What is asked for


def test_two_searches_a_person_and_one_an_id_each_once() -> None:
    assert searches_for(["a", "b", "a"], ["p"], ["m", "m"]) == [
        Search("recipient", "Practitioner/a"),
        Search("sender", "Practitioner/a"),
        Search("recipient", "Practitioner/b"),
        Search("sender", "Practitioner/b"),
        Search("recipient", "Patient/p"),
        Search("sender", "Patient/p"),
        Search("_id", "m"),
    ]
    assert searches_for([], [], []) == []


def test_the_longest_search_begins_first_and_patients_come_last() -> None:
    searches = searches_for(["a", "b", "c"], ["p"], [])
    sizes = {("sender", "Practitioner/b"): 9, ("recipient", "Practitioner/c"): 10, ("sender", "Patient/p"): 99}
    assert longest_first(searches, sizes) == [
        Search("recipient", "Practitioner/c"),
        Search("sender", "Practitioner/b"),
        Search("recipient", "Practitioner/a"),
        Search("sender", "Practitioner/a"),
        Search("recipient", "Practitioner/b"),
        Search("sender", "Practitioner/c"),
        Search("sender", "Patient/p"),
        Search("recipient", "Patient/p"),
    ]


@given(st.permutations(searches_for(["a", "b"], ["p", "q"], ["m"])))
def test_the_order_does_not_depend_on_the_order_before(searches: list[Search]) -> None:
    in_order = longest_first(searches, {})
    assert in_order == longest_first(sorted(searches, key=str), {})
    assert set(in_order) == set(searches)


@pytest.mark.parametrize(
    ("selection", "everyone", "windowed", "scope"),
    [
        (Selection(), True, False, "full"),
        (Selection(by_patient=True), True, False, "full"),
        (Selection(since=NOON), True, True, "selected"),
        (Selection(until=NOON), True, True, "selected"),
        (Selection(practitioners=("a",)), False, False, "selected"),
        (Selection(patients=("a",)), False, False, "selected"),
        (Selection(ids=("a",)), False, False, "selected"),
        (Selection(quick=True), True, False, "quick"),
    ],
)
def test_a_run_is_full_if_nothing_is_left_out(selection: Selection, everyone: bool, windowed: bool, scope: str) -> None:
    assert (selection.everyone, selection.windowed, selection.scope) == (everyone, windowed, scope)


DIFFERENT = [
    Selection(),
    Selection(by_patient=True),
    Selection(quick=True),
    Selection(practitioners=("a",)),
    Selection(patients=("a",)),
    Selection(ids=("a",)),
    Selection(ids=("a", "b")),
    Selection(ids=("ab",)),
    Selection(since=NOON),
    Selection(until=NOON),
    Selection(since=NOON + TICK),
    Selection(since=NOON, until=NOON + TICK),
]


def test_only_what_asks_for_the_same_has_the_same_key() -> None:
    assert len({selection.selection_key() for selection in DIFFERENT}) == len(DIFFERENT)
    one, other = Selection(ids=("a", "b"), patients=("x", "y")), Selection(ids=("b", "a"), patients=("y", "x"))
    assert one.selection_key() == other.selection_key()


@pytest.mark.parametrize(
    ("sent", "wanted"),
    [
        (None, True),
        (NOON - TICK, False),
        (NOON, True),
        (NOON + timedelta(hours=1) - TICK, True),
        (NOON + timedelta(hours=1), False),
    ],
)
def test_a_window_begins_with_since_and_ends_before_until(sent: datetime | None, wanted: bool) -> None:
    assert Selection(since=NOON, until=NOON + timedelta(hours=1)).wants(message(sent=sent)) is wanted


@pytest.mark.parametrize("selection", [Selection(), Selection(since=NOON), Selection(until=NOON)])
def test_a_window_may_be_open(selection: Selection) -> None:
    early, late = message(sent=NOON - TICK), message(sent=NOON)
    assert selection.wants(early) is (selection.since is None)
    assert selection.wants(late) is (selection.until is None)


# What becomes of runs that died


def died(number: int, job: str = "sync", selection: str = "all", *, hours: int = 1) -> OpenRun:
    return OpenRun(number, job, selection, timedelta(hours=hours))


@pytest.mark.parametrize(
    ("runs", "resume", "close"),
    [
        ([], None, ()),
        ([died(1)], 1, ()),
        ([died(1, hours=6)], None, (1,)),
        ([died(1, selection="other")], None, (1,)),
        ([died(2), died(1)], 2, (1,)),
        ([died(2, selection="other"), died(1)], 1, (2,)),
        ([died(2, hours=7), died(1, hours=8)], None, (2, 1)),
        ([died(3, "backfill"), died(2), died(1, "backfill", hours=99)], 2, ()),
    ],
)
def test_a_sync_resumes_the_young_one_and_closes_the_others(
    runs: list[OpenRun], resume: int | None, close: tuple[int, ...]
) -> None:
    within = timedelta(hours=6)
    assert resumption(runs, job="sync", selection_key="all", within=within, restart=False) == Resumption(resume, close)


@pytest.mark.parametrize(
    ("runs", "resume", "close"),
    [
        ([died(1, selection="other")], None, ()),
        ([died(2), died(1, selection="other")], 2, ()),
        ([died(2, hours=7), died(1, selection="other", hours=99)], None, (2,)),
    ],
)
def test_a_quick_sync_leaves_a_full_one_open(runs: list[OpenRun], resume: int | None, close: tuple[int, ...]) -> None:
    decision = resumption(runs, job="sync", selection_key="all", quick=True, within=timedelta(hours=6), restart=False)
    assert decision == Resumption(resume, close)


@pytest.mark.parametrize(
    ("runs", "restart", "resume", "close"),
    [
        ([died(1, "backfill", hours=9999)], False, 1, ()),
        ([died(1, "backfill", hours=9999)], True, None, (1,)),
        ([died(1, "backfill", "other")], False, None, ()),
        ([died(1, "backfill", "other")], True, None, ()),
        ([died(2, "backfill"), died(1, "backfill")], False, 2, (1,)),
        ([died(2, "backfill"), died(1, "backfill")], True, None, (2, 1)),
        ([died(1)], False, None, ()),
    ],
)
def test_a_backfill_is_resumed_however_late_and_leaves_others_alone(
    runs: list[OpenRun], restart: bool, resume: int | None, close: tuple[int, ...]
) -> None:
    decision = resumption(runs, job="backfill", selection_key="all", within=None, restart=restart)
    assert decision == Resumption(resume, close)


# What a run has come to


def sums(*, searches: int = 4, accepted: int = 4, entries: int = 100, quarantined: int = 0) -> RunSums:
    return RunSums(searches, accepted, 0, None, searches, entries, 0, 0, quarantined)


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (sums(), Outcome.COMPLETE),
        (sums(searches=0, accepted=0, entries=0), Outcome.COMPLETE),
        (sums(accepted=3), Outcome.INCOMPLETE),
        (sums(accepted=0), Outcome.FAILED),
        (sums(quarantined=10), Outcome.COMPLETE),
        (sums(quarantined=11), Outcome.INCOMPLETE),
        (sums(entries=5000, quarantined=50), Outcome.COMPLETE),
        (sums(entries=5000, quarantined=51), Outcome.INCOMPLETE),
    ],
)
def test_a_run_is_complete_only_if_everything_was_accepted(run: RunSums, expected: Outcome) -> None:
    assert outcome(run) is expected


@given(st.integers(0, 10**7), st.integers(0, 10**6))
def test_odd_records_are_no_flood(entries: int, quarantined: int) -> None:
    assert sums(entries=entries, quarantined=quarantined).is_flooded is (
        quarantined > 10 and quarantined * 100 > entries
    )


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (Deletions.NONE_FOUND, Outcome.COMPLETE),
        (Deletions.MARK, Outcome.COMPLETE),
        (Deletions.NOT_A_FULL_RUN, Outcome.COMPLETE),
        (Deletions.TOO_MANY, Outcome.INCOMPLETE),
        (Deletions.SOURCE_UNRELIABLE, Outcome.INCOMPLETE),
    ],
)
def test_deletions_that_are_not_believed_make_a_run_incomplete(verdict: Deletions, expected: Outcome) -> None:
    assert outcome(sums(), verdict) is expected


@pytest.mark.parametrize(("live", "most"), [(0, 50), (1000, 50), (1001, 50), (1020, 51), (100_000, 5000)])
def test_a_run_marks_fifty_or_five_percent_by_itself(live: int, most: int) -> None:
    assert deletions_max(live) == most


@pytest.mark.parametrize(
    ("gone", "scope", "all_accepted", "source_knows_ids", "accepted_by_operator", "expected"),
    [
        (0, "full", True, True, False, Deletions.NONE_FOUND),
        (0, "quick", False, False, True, Deletions.NONE_FOUND),
        (1, "full", True, True, False, Deletions.MARK),
        (50, "full", True, True, False, Deletions.MARK),
        (51, "full", True, True, False, Deletions.TOO_MANY),
        (51, "full", True, True, True, Deletions.MARK),
        (1, "full", False, True, False, Deletions.RUN_NOT_ACCEPTED),
        (51, "full", False, True, False, Deletions.TOO_MANY),
        (51, "full", False, True, True, Deletions.RUN_NOT_ACCEPTED),
        (1, "full", True, False, False, Deletions.SOURCE_UNRELIABLE),
        (1, "full", True, False, True, Deletions.MARK),
        (1, "quick", True, True, True, Deletions.NOT_A_FULL_RUN),
        (1, "selected", True, True, True, Deletions.NOT_A_FULL_RUN),
    ],
)
def test_what_is_gone_is_marked_only_where_the_source_can_be_believed(
    gone: int, scope: str, all_accepted: bool, source_knows_ids: bool, accepted_by_operator: bool, expected: Deletions
) -> None:
    verdict = decide(
        gone=gone,
        live=1000,
        scope=scope,
        all_accepted=all_accepted,
        source_knows_ids=source_knows_ids,
        accepted_by_operator=accepted_by_operator,
    )
    assert verdict is expected
