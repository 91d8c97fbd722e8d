"""Whether a walk is accepted, each objection to it, and what a message and a first page say of their search."""

from __future__ import annotations

import pytest

from tests.unit.test_plan import message
from worker.jobs.acceptance import Tally, belongs, looks_unchanged, objection
from worker.load.marks import Mark, Seen
from worker.records import Reference, Search

Walked = tuple[int | None, list[str | bytes], int]


def tally(*pages: Walked, again: tuple[int | None, list[str | bytes]] | None = None) -> Tally:
    counted = Tally()
    for total, keys, strangers in pages:
        counted.add_page(total, keys, strangers, newcomers=0)
    if again is not None:
        counted.add_page_again(*again)
    return counted


@pytest.mark.parametrize(
    ("walk", "expected"),
    [
        (tally((0, [], 0)), None),
        (tally((2, ["a", "b"], 0)), None),
        (tally((2, ["a", b"hash of one without an id"], 0)), None),
        (tally((3, ["a", "b"], 0), (3, ["c"], 0), again=(3, ["b", "a"])), None),
        (tally((2, ["a", "b"], 0), (2, [], 0), again=(2, ["a", "b"])), None),
        (tally(), "no_total"),
        (tally((None, ["a"], 0)), "no_total"),
        (tally((2, ["a"], 0), (None, ["b"], 0), again=(2, ["a"])), "no_total"),
        (tally((2, ["a"], 0), (2, ["b"], 0), again=(None, ["a"])), "no_total"),
        (tally((2, ["a"], 0), (3, ["b"], 0), again=(2, ["a"])), "total_changed"),
        (tally((2, ["a"], 0), (2, ["b"], 0), again=(3, ["a"])), "total_changed"),
        (tally((2, ["a", "b"], 1)), "filter_ignored"),
        (tally((2, ["a"], 0), (2, ["b"], 2), again=(2, ["a"])), "filter_ignored"),
        (tally((3, ["a", "b"], 0)), "too_few_entries"),
        (tally((3, ["a", "b"], 0), (3, ["b"], 0), again=(3, ["a", "b"])), "too_few_entries"),
        (tally((2, ["a", "a"], 0)), "too_few_entries"),
        (tally((1, ["a", "b"], 0)), "too_many_entries"),
        (tally((2, ["a"], 0), (2, ["b"], 0), again=(2, ["b"])), "first_page_changed"),
        (tally((2, ["a"], 0), (2, ["b"], 0), again=(2, [])), "first_page_changed"),
        (tally((2, ["a"], 0), (2, ["b"], 0)), "first_page_changed"),
    ],
)
def test_a_walk_is_accepted_or_objected_to_in_a_word(walk: Tally, expected: str | None) -> None:
    assert objection(walk) == expected


def test_only_a_walk_of_several_pages_is_looked_at_again() -> None:
    assert not tally((2, ["a", "b"], 0)).needs_first_page_again
    assert tally((2, ["a"], 0), (2, ["b"], 0)).needs_first_page_again


def walk_of_three_pages(newcomers: int, again: list[str | bytes] | None = None) -> Tally:
    counted = Tally()
    pages: list[list[str | bytes]] = [["a", "b"], ["c", "d"], ["e"]]
    for keys in pages:
        counted.add_page(5, keys, 0, newcomers if "c" in keys else 0)
    counted.add_page_again(5, ["a", "b"])
    if again is not None:
        counted.add_page_again(5, again)
    return counted


@pytest.mark.parametrize(
    ("walk", "expected", "is_read_again"),
    [
        (walk_of_three_pages(newcomers=0), None, True),
        (walk_of_three_pages(newcomers=1), "pages_changed", False),
        (walk_of_three_pages(newcomers=1, again=["c", "d"]), None, True),
        (walk_of_three_pages(newcomers=1, again=["d", "c", "skipped"]), None, True),
        (walk_of_three_pages(newcomers=1, again=["d", "skipped"]), "pages_changed", True),
        (walk_of_three_pages(newcomers=1, again=["d"]), "pages_changed", True),
        (walk_of_three_pages(newcomers=1, again=["d", "d"]), "pages_changed", True),
    ],
)
def test_what_shows_something_new_on_several_pages_is_read_again_but_for_the_last(
    walk: Tally, expected: str | None, *, is_read_again: bool
) -> None:
    assert objection(walk) == expected
    assert walk.is_read_again is is_read_again


def test_a_first_page_that_changed_ends_the_second_reading() -> None:
    walk = Tally()
    for keys in ("ab", "cd", "e"):
        walk.add_page(5, list(keys), 0, newcomers=len(keys))
    assert not walk.is_read_again
    walk.add_page_again(5, ["b", "c"])
    assert walk.is_read_again


def test_a_total_that_changed_ends_the_second_reading() -> None:
    walk = walk_of_three_pages(newcomers=1)
    walk.add_page_again(6, ["c"])
    assert walk.is_read_again
    assert objection(walk) == "total_changed"


def test_the_total_of_a_walk_is_one_number_or_none() -> None:
    assert tally((2, ["a"], 0), (2, ["b"], 0)).total == 2
    assert tally((2, ["a"], 0), (3, ["b"], 0)).total is None
    assert tally().total is None


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


def test_a_message_without_sides_belongs_to_nobodys_search() -> None:
    assert not belongs(message(), Search("sender", "Patient/p"))
    assert not belongs(message(), Search("recipient", "Patient/p"))


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
    mark = Mark(usable | {b"stored, but its row has changed": Seen("c", b"")}, usable, 2)
    assert looks_unchanged(total, raw_hashes, mark, is_only=is_only) is expected


def test_a_search_that_had_nothing_and_has_nothing_looks_unchanged() -> None:
    assert looks_unchanged(0, [], Mark({}, {}, 0), is_only=True)


def test_a_search_that_was_never_walked_does_not_look_unchanged() -> None:
    assert not looks_unchanged(None, [], Mark({}, {}, None), is_only=True)
