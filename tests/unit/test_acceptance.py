"""Whether a search is accepted, each objection to it, and what a message and a first page say of their search."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.test_plan import message
from worker.jobs.run.acceptance import belongs, is_worth_another_reading, looks_unchanged, objection
from worker.jobs.run.tally import Shown, Tally
from worker.load.fingerprints import Fingerprint, Seen
from worker.records import Reference, Search

if TYPE_CHECKING:
    from collections.abc import Sequence

Answered = tuple[int | None, str]
"""`total` of an answer, and the keys that it shows, a letter each."""


def shown(keys: str, **more: Any) -> Shown:
    return Shown([*keys], [key.encode() for key in keys], **more)


def walked(*readings: Sequence[Answered], known: str = "") -> Tally:
    """Count readings whose answers came one after the other."""
    tally, time = Tally(frozenset(known)), count(1)
    for reading in readings:
        for total, keys in reading:
            tally.add(shown(keys), total, requested=next(time), arrived=next(time))
        tally.end_reading()
    return tally


ONE_PAGE: list[Answered] = [(2, "ab")]
THREE_PAGES: list[Answered] = [(5, "ab"), (5, "cd"), (5, "e")]


@pytest.mark.parametrize(
    ("tally", "total"),
    [
        (walked([(0, "")]), 0),
        (walked(ONE_PAGE), 2),
        (walked(THREE_PAGES, known="abcde"), 5),
        (walked(THREE_PAGES, THREE_PAGES), 5),
        # What is new at the front is there on the first page; what is new at the end, on the last.
        (walked([(3, "xa"), (3, "b")], known="ab"), 3),
        (walked([(3, "ab"), (3, "x")], [(3, "ab")], known="ab"), 3),
        # It grew at the front, between the pages of the first reading and between the readings.
        (walked([(3, "ab"), (4, "bc")], [(5, "yx"), (5, "ab"), (5, "c")]), 5),
        # It grew at the end.
        (walked([(3, "ab"), (4, "cx")], [(5, "ab"), (5, "cx"), (5, "y")]), 4),
        # The same row twice, pushed onto the next page by a new one: counted once.
        (walked([(4, "ab"), (5, "bc"), (5, "d")], [(5, "xa"), (5, "bc"), (5, "d")]), 5),
        # A row was deleted after it had been shown.
        (walked([(4, "ab"), (3, "d")], [(3, "bc"), (3, "d")], [(3, "bc"), (3, "d")]), 3),
        # `total` on one page is enough.
        (walked([(None, "ab"), (3, "c")], [(None, "ab"), (3, "c")]), 3),
    ],
)
def test_a_search_is_accepted_by_the_total_of_one_answer(tally: Tally, total: int) -> None:
    assert objection(tally) is None
    assert tally.total == total


@pytest.mark.parametrize(
    ("tally", "reason"),
    [
        (walked(), "no_total"),
        (walked([(None, "a")]), "no_total"),
        (walked([(3, "ab")], [(3, "ab")]), "too_few_entries"),
        (walked([(3, "ab"), (3, "b")], [(3, "ab"), (3, "b")]), "too_few_entries"),
        (walked([(2, "aa")], [(2, "aa")]), "too_few_entries"),
        (walked([(1, "ab")], [(1, "ab")]), "too_many_entries"),
        (walked([(5, "ab"), (6, "c")], [(5, "ab"), (6, "c")]), "total_changed"),
        (walked(THREE_PAGES), "pages_changed"),
        (walked([(5, "ab"), (5, "c")], [(5, "ab"), (5, "d")]), "pages_changed"),
    ],
)
def test_a_search_is_objected_to_in_a_word(tally: Tally, reason: str) -> None:
    assert objection(tally) == reason


def test_as_many_as_total_are_not_enough_if_they_were_not_there_at_one_instant() -> None:
    """A row goes before the second page and another comes behind it: the row between the pages is never shown."""
    skipped = walked([(5, "ab"), (5, "de"), (5, "x")])
    assert skipped.entries == 5
    assert objection(skipped) is not None
    skipped = walked([(5, "ab"), (5, "de"), (5, "x")], [(5, "bc"), (5, "de"), (5, "x")])
    assert objection(skipped) == "pages_changed"
    skipped = walked(
        [(5, "ab"), (5, "de"), (5, "x")], [(5, "bc"), (5, "de"), (5, "x")], [(5, "bc"), (5, "de"), (5, "x")]
    )
    assert objection(skipped) is None


def test_a_walk_is_accepted_before_the_last_page_is_read_again() -> None:
    tally = walked(THREE_PAGES)
    for time, keys in enumerate(("ab", "cd"), 100):
        assert objection(tally) is not None
        tally.add(shown(keys), 5, requested=2 * time, arrived=2 * time + 1)
    assert objection(tally) is None
    assert tally.pages == 3


def test_an_answer_is_on_neither_side_of_one_that_it_overlaps() -> None:
    """Of pages that are under way at once nobody knows which the source made first."""
    tally = Tally()
    tally.add(shown("ab"), 4, requested=1, arrived=4)
    tally.add(shown("cd"), 4, requested=2, arrived=3)
    tally.end_reading()
    tally.add(shown("ab"), 4, requested=5, arrived=6)
    assert objection(tally) is not None
    tally.add(shown("cd"), 4, requested=7, arrived=8)
    assert objection(tally) is None


@pytest.mark.parametrize("lie", [0, 1, 2])
def test_one_answer_that_says_that_all_is_gone_is_not_believed(lie: int) -> None:
    """Nothing was seen on both sides of it, as it says; but only a whole later reading could confirm that."""
    reading: list[Answered] = [*THREE_PAGES[:lie], (0, "")]
    assert objection(walked(reading)) is not None or lie == 0
    assert objection(walked(THREE_PAGES, reading)) is not None or lie == 2
    told = walked(THREE_PAGES, reading, THREE_PAGES, THREE_PAGES)
    assert objection(told) is None
    assert told.total == 5


def test_what_is_gone_is_believed_once_a_whole_reading_confirms_it() -> None:
    gone = walked(THREE_PAGES, [(0, "")], [(0, "")])
    assert objection(gone) is None
    assert (gone.total, gone.entries) == (0, 5)


ONE_TWICE: list[Answered] = [(4, "ab"), (4, "bc")]


@pytest.mark.parametrize(
    ("in_other_pages", "accepted"),
    [
        ([(4, "a"), (4, "b"), (4, "b"), (4, "c")], True),
        ([(4, "abb"), (4, "c")], True),
        # Where the pages end otherwise, another is shown twice, or one that was hidden.
        ([(4, "a"), (4, "a"), (4, "b"), (4, "c")], False),
        ([(4, "a"), (4, "b"), (4, "d"), (4, "c")], False),
        ([(3, "a"), (3, "b"), (3, "c")], False),
        # The source pages as it likes: nothing is confirmed.
        (ONE_TWICE, False),
    ],
)
def test_copies_are_counted_if_other_pages_show_the_same_ones(
    in_other_pages: list[Answered], *, accepted: bool
) -> None:
    tally = walked(ONE_TWICE, ONE_TWICE)
    assert objection(tally) == "too_few_entries"
    assert tally.page_size_for_copies == 1
    for time, (total, keys) in enumerate(in_other_pages, 50):
        tally.add(shown(keys), total, requested=2 * time, arrived=2 * time + 1)
    tally.end_reading()
    assert tally.confirm_copies() is accepted


@pytest.mark.parametrize(
    "readings",
    [
        [ONE_TWICE],
        [ONE_TWICE, [(4, "ab"), (4, "cc")]],
        [[(3, "ab"), (3, "bc")], [(3, "ab"), (3, "bc")]],
        [[(5, "ab"), (5, "bc")], [(5, "ab"), (5, "bc")]],
        [[(4, "ab"), (5, "bc")], [(4, "ab"), (5, "bc")]],
        [[(2, "a"), (2, "a")], [(2, "a"), (2, "a")]],
    ],
)
def test_copies_that_do_not_explain_total_are_not_looked_into(readings: list[list[Answered]]) -> None:
    assert walked(*readings).page_size_for_copies is None


def test_two_versions_of_one_entry_are_no_copies() -> None:
    tally = Tally()
    for time in (1, 3):
        tally.add(Shown(["a", "b", "b"], [b"a", b"b", b"other"]), 3, requested=time, arrived=time + 1)
        tally.end_reading()
    assert tally.page_size_for_copies is None


def test_a_stranger_or_a_warning_is_objected_to_whatever_fits() -> None:
    tally = Tally()
    tally.add(shown("ab", strangers=1), 2, requested=1, arrived=2)
    assert objection(tally) == "filter_ignored"
    assert not is_worth_another_reading(tally)
    tally.add(shown("", is_whole=False), 2, requested=3, arrived=4)
    assert objection(tally) == "results_not_whole"


def test_readings_go_on_while_they_differ_and_end_after_ten() -> None:
    assert is_worth_another_reading(walked([(3, "ab")]))
    assert not is_worth_another_reading(walked([(3, "ab")], [(3, "ab")]))
    assert not is_worth_another_reading(walked([(None, "ab")]))
    changing: list[list[Answered]] = [[(99, letter)] for letter in "abcdefghij"]
    assert is_worth_another_reading(walked(*changing[:9]))
    assert not is_worth_another_reading(walked(*changing))


def test_an_older_version_is_told_from_a_newer_one() -> None:
    tally = Tally()
    tally.add(shown("a"), 1, requested=5, arrived=6)
    assert tally.has_newer("a", 4)
    assert not tally.has_newer("a", 5)
    assert not tally.has_newer("b", 0)


def test_memory_is_bounded_by_two_readings() -> None:
    """Answers of readings that a whole later one did not make fit are given up."""
    tally = walked(*([(99, "ab"), (99, "cd")] for _ in range(8)))
    assert len(tally._answers) == 4


def test_ten_thousand_entries_are_looked_through_quickly() -> None:
    """Without looking at each pair of an answer and an entry: that would be a billion looks here."""
    keys = [str(number) for number in range(10_000)]
    tally, time = Tally(), count(1)
    for reading in range(8):
        for page in range(100):
            few = keys[page * 100 : page * 100 + 100 - (page == reading)]
            tally.add(Shown(few, [b""] * len(few)), 10_001, requested=next(time), arrived=next(time))
        tally.end_reading()
        assert objection(tally) is not None


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        (Search("sender", "Patient/p"), True),
        (Search("sender", "Practitioner/a"), False),
        (Search("recipient", "Practitioner/a"), True),
        (Search("recipient", "Practitioner/b"), True),
        (Search("recipient", "Patient/p"), False),
        (Search("_id", "m"), True),
        (Search("_id", "n"), False),
    ],
)
def test_a_message_belongs_to_the_search_that_asked_for_it(search: Search, expected: bool) -> None:
    recipients = (Reference("Practitioner", "a"), Reference("Practitioner", "b"))
    assert belongs(message(sender=Reference("Patient", "p"), recipients=recipients), search) is expected


def test_a_message_that_names_nobody_contradicts_no_search_for_a_person() -> None:
    assert belongs(message(), Search("sender", "Patient/p"))
    assert belongs(message(), Search("recipient", "Patient/p"))
    one_sided = message(sender=Reference("Patient", "p"))
    assert not belongs(one_sided, Search("sender", "Practitioner/a"))
    assert belongs(one_sided, Search("recipient", "Practitioner/a"))


@pytest.mark.parametrize(
    ("total", "raw_hashes", "is_only", "expected"),
    [
        (2, [b"1", b"2"], True, True),
        (2, [b"1"], False, True),
        (2, [b"1"], True, False),
        (2, [b"1", b"1"], True, False),
        (2, [], True, False),
        (2, [], False, False),
        (3, [b"1", b"2"], False, False),
        (None, [b"1", b"2"], True, False),
        (2, [b"1", b"new"], True, False),
        (2, [b"1", b"stored, but its row has changed"], True, False),
    ],
)
def test_a_search_looks_unchanged_if_its_first_page_adds_up_and_holds_nothing_new(
    total: int | None, raw_hashes: list[bytes], is_only: bool, expected: bool
) -> None:
    usable = {b"1": Seen("a", b""), b"2": Seen("b", b"")}
    fingerprint = Fingerprint(usable | {b"stored, but its row has changed": Seen("c", b"")}, usable, 2)
    assert looks_unchanged(total, raw_hashes, fingerprint, is_only=is_only) is expected


def test_a_search_that_had_nothing_and_has_nothing_looks_unchanged() -> None:
    assert looks_unchanged(0, [], Fingerprint({}, {}, 0), is_only=True)


def test_a_search_that_was_never_walked_does_not_look_unchanged() -> None:
    assert not looks_unchanged(None, [], Fingerprint({}, {}, None), is_only=True)
